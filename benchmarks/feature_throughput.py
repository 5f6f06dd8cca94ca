"""How many pictures and sentences a second the default encoders describe, by batch size.

On two threads, unlike the other benchmarks: the goals are stated for two cores.

python benchmarks/feature_throughput.py
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from cmrlib.datasets import load_emoji
from cmrlib.features import cnn_features, sentence_features
from cmrlib.features.image import pixels

PICTURES_A_SECOND, SENTENCES_A_SECOND = 20, 200  # what the project asks of two cores
THREADS = 2


def compare(
    what: str, run: Callable[..., Any], items: Sequence[Any], sizes: Sequence[int], goal: int
) -> None:
    """Print items a second for each batch size, the median of turns, and which is fastest.

    The sizes take turns, so that a machine that slows down slows all of them; each runs once
    before it counts.
    """
    rates: dict[int, list[float]] = {size: [] for size in sizes}
    for turn in range(6):
        for size in sizes:
            start = time.perf_counter()
            run(items, batch_size=size)
            if turn:
                rates[size].append(len(items) / (time.perf_counter() - start))
    medians = {size: statistics.median(found) for size, found in rates.items()}
    print(f"\n{what}, {len(items)} a turn, 5 turns, {torch.get_num_threads()} threads")
    for size, median in medians.items():
        low, high = min(rates[size]), max(rates[size])
        print(f"  batches of {size:3}  {median:7.1f} a second  ({low:.1f} to {high:.1f})")
    best = max(medians, key=lambda size: medians[size])
    met = "met" if medians[best] >= goal else "missed"
    print(f"  fastest: batches of {best}; the goal of {goal} a second is {met}")


def main() -> None:
    """Measure both encoders; a machine that does other work as well gives no useful numbers."""
    torch.set_num_threads(THREADS)
    load = os.getloadavg()[0]
    if load > 1:
        print(f"The load is {load:.1f}: other programs are running, the numbers will be too low.")
    emoji = load_emoji()
    pictures = [emoji.picture(row) for row in range(0, len(emoji), 40)]
    start = time.perf_counter()
    for picture in pictures:
        pixels(picture)
    milliseconds = 1e3 * (time.perf_counter() - start) / len(pictures)
    print(f"pixels(), part of what follows: {milliseconds:.2f} ms a picture")
    compare(
        "EfficientNet-Lite0, pictures of 224 x 224",
        cnn_features,
        pictures,
        (1, 2, 4, 8, 16, 32),
        PICTURES_A_SECOND,
    )
    compare(
        "all-MiniLM-L6-v2, emoji names",
        sentence_features,
        emoji.captions[::8],
        (8, 16, 32, 64, 128),
        SENTENCES_A_SECOND,
    )


if __name__ == "__main__":
    main()
