"""Pictures of retrieval, in one style. Each function draws on ``ax`` and returns the Axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from cmrlib.datasets import PairedDataset
from cmrlib.evaluation import label_relevance, precision_recall

RIGHT, WRONG, NEUTRAL = "#1a7f5a", "#c4472b", "#5b6770"


def set_style() -> None:
    """Give every figure of the session the book's style."""
    plt.style.use(str(files("cmrlib") / "cmrlib.mplstyle"))


def _item(ax: Axes, data: PairedDataset, row: int, modality: str) -> None:
    """Draw one item of a data set, a picture or a caption, filling `ax`."""
    ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    ax.set_box_aspect(1)
    if modality == "image":
        ax.imshow(data.picture(row), extent=(0.04, 0.96, 0.04, 0.96), aspect="auto")
        ax.set(xlim=(0, 1), ylim=(0, 1))
    else:
        caption = textwrap.fill(data.captions[row].split(", ")[0], 12)
        ax.text(0.5, 0.5, caption, ha="center", va="center", fontsize=8.5, color="black")


def _frame(ax: Axes, colour: str, width: float) -> None:
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)


def retrieval_gallery(
    data: PairedDataset,
    similarity: ArrayLike,
    queries: Sequence[int],
    *,
    direction: str = "image->text",
    n_results: int = 6,
    ax: Axes | None = None,
) -> Axes:
    """Show queries and their first answers, right and wrong marked.

    Each row is a query at the left and its answers by decreasing similarity. A green frame and a
    tick mark an answer of the query's class, red and a cross another class; a star marks the
    query's own partner.

    Parameters
    ----------
    data : PairedDataset
        With labels, captions and pictures; rows of `similarity` are its images, columns its texts.
    similarity : array-like of shape (n, n)
    queries : sequence of int
        Rows of `data`.
    direction : {"image->text", "text->image"}
    n_results : int, default=6
    ax : Axes, optional
        Its place is divided into the gallery's cells.

    Returns
    -------
    Axes
        The frame around the gallery.
    """
    if direction not in ("image->text", "text->image"):
        raise ValueError(f"direction must be 'image->text' or 'text->image', got {direction!r}.")
    if data.labels is None:
        raise ValueError("the gallery marks answers by class, so the data set needs labels.")
    S = np.asarray(similarity)
    if S.shape != (len(data), len(data)):
        raise ValueError(f"similarity must be ({len(data)}, {len(data)}), got {S.shape}.")
    asked, answered = direction.split("->")
    S = S if asked == "image" else S.T
    relevant = label_relevance(data.labels, data.labels)
    n_results = min(n_results, len(data))
    if ax is None:
        size = (1.1 * (n_results + 1.3), 1.15 * len(queries) + 0.3)
        ax = plt.figure(figsize=size).add_axes((0, 0, 1, 1))
    ax.set_axis_off()

    width, height = 1 / (n_results + 1.25), 1 / (len(queries) + 0.25)
    titles = [(0.5, "query")] + [(1.75 + i, f"{i + 1}") for i in range(n_results)]
    for x, title in titles:
        ax.text(x * width, 1 - 0.1 * height, title, ha="center", va="center", color=NEUTRAL)
    for line, query in enumerate(queries):
        bottom = 1 - (line + 1.2) * height
        _draw(ax, data, query, asked, (0, bottom, width, height), NEUTRAL, "")
        for place, row in enumerate(np.argsort(-S[query], kind="stable")[:n_results]):
            right = bool(relevant[query, row])
            mark = ("✓" if right else "✗") + ("★" if row == query else "")
            box = ((1.25 + place) * width, bottom, width, height)
            _draw(ax, data, int(row), answered, box, RIGHT if right else WRONG, mark)
    return ax


def _draw(
    ax: Axes,
    data: PairedDataset,
    row: int,
    modality: str,
    box: tuple[float, float, float, float],
    colour: str,
    mark: str,
) -> None:
    x, y, width, height = box
    cell = ax.inset_axes((x + 0.04 * width, y + 0.04 * height, 0.92 * width, 0.92 * height))
    _item(cell, data, row, modality)
    _frame(cell, colour, 2.0 if mark else 1.0)
    if mark:
        cell.text(0.97, 0.97, mark, ha="right", va="top", color=colour, fontsize=10, weight="bold")


def precision_recall_curve(
    similarity: ArrayLike,
    relevance: ArrayLike,
    *,
    label: str | None = None,
    ax: Axes | None = None,
    **line: Any,
) -> Axes:
    """Draw mean precision against mean recall after 1, 2, ..., n ranks.

    Parameters
    ----------
    similarity : array-like of shape (n_queries, n_items)
    relevance : array-like of bool, same shape
    label : str, optional
        The curve's name in a legend.
    ax : Axes, optional
    **line
        Passed to ``ax.plot``.
    """
    ax = ax or plt.subplots()[1]
    precision, recall = precision_recall(similarity, relevance)
    ax.plot(recall, precision, label=label, **line)
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    return ax


def similarity_map(
    similarity: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    class_names: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw a similarity matrix as a heat map; with labels, sorted by class.

    Parameters
    ----------
    similarity : array-like of shape (n, n)
        Images down, texts across.
    labels : array-like of shape (n,), optional
        Class of each pair; lines part the classes.
    class_names : sequence of str, optional
        Written beside the classes.
    ax : Axes, optional
    """
    S = np.asarray(similarity)
    ax = ax or plt.subplots(figsize=(5.6, 4.6))[1]
    if labels is not None:
        y = np.asarray(labels)
        order = np.argsort(y, kind="stable")
        S = S[np.ix_(order, order)]
        ends = np.flatnonzero(np.diff(y[order])) + 1
        edges = np.concatenate([[0], ends, [len(y)]])
        for end in ends:
            ax.axhline(end - 0.5, color="white", lw=0.6)
            ax.axvline(end - 0.5, color="white", lw=0.6)
        if class_names:
            present = [class_names[c] for c in np.unique(y)]
            ax.set_yticks((edges[:-1] + edges[1:]) / 2 - 0.5, present)
    limit = np.abs(S).max()
    picture = ax.imshow(S, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    ax.figure.colorbar(picture, ax=ax, shrink=0.8, label="similarity")
    ax.set(xlabel="texts", xticks=[])
    if labels is None or not class_names:
        ax.set(ylabel="images", yticks=[])
    ax.grid(False)
    return ax
