"""Generated scenes: pictures, captions and clips of which every part is known.

A retrieval score cannot tell a model that understands "a red circle left of a blue square" from
one that counts words. Scenes can: their objects, boxes, relations, parses and word-region pairs
are the truth by construction, and the probe sets of :func:`make_probe` change exactly one of them.

**The world.** A picture is the unit square, x to the right and **y downwards**, divided into 3 by 3
cells. Each object has a cell of its own and stays inside it, so that no two objects overlap. In a
scene no class and no colour occurs twice, and exactly one object is large.

**The relations.** A is *left of* B if all of A is left of all of B, that is x1(A) <= x0(B); *above*
likewise with y, *right of* and *below* the other way round. Of two objects in different columns one
is left of the other, of two in one column neither is, and in between there is nothing. Objects
on a diagonal have two relations.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from cmrlib.datasets._dataset import PairedDataset

Array = NDArray[Any]

PALETTE = {
    "red": (214, 39, 40),
    "yellow": (240, 205, 0),
    "green": (34, 139, 34),
    "blue": (31, 90, 200),
    "purple": (128, 50, 160),
    "pink": (255, 130, 190),
    "grey": (150, 150, 150),
    "black": (25, 25, 25),
}


def _star() -> Array:
    angle = np.pi * np.arange(10) / 5 - np.pi / 2
    return (np.where(np.arange(10) % 2, 0.45, 1) * np.stack([np.cos(angle), np.sin(angle)])).T


def _heart() -> Array:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y], axis=1)


def _fill(outline: ArrayLike) -> Array:
    """Stretch an outline so that it touches all four sides of the box from -1 to 1."""
    points = np.asarray(outline, dtype=float)
    low, high = points.min(axis=0), points.max(axis=0)
    return 2 * (points - low) / (high - low) - 1


# None is the circle, which PIL draws itself; all others are star-shaped about the centre
_OUTLINES: dict[str, Array | None] = {
    "circle": None,
    "square": _fill([(-1, -1), (1, -1), (1, 1), (-1, 1)]),
    "triangle": _fill([(0, -1), (1, 1), (-1, 1)]),
    "diamond": _fill([(0, -1), (1, 0), (0, 1), (-1, 0)]),
    "star": _fill(_star()),
    "cross": _fill(
        [(-0.4, -1), (0.4, -1), (0.4, -0.4), (1, -0.4), (1, 0.4), (0.4, 0.4)]
        + [(0.4, 1), (-0.4, 1), (-0.4, 0.4), (-1, 0.4), (-1, -0.4), (-0.4, -0.4)]
    ),
    "heart": _fill(_heart()),
    "arrow": _fill(
        [(0, -1), (1, 0.1), (0.45, 0.1), (0.45, 1), (-0.45, 1), (-0.45, 0.1), (-1, 0.1)]
    ),
}
SHAPES = tuple(_OUTLINES)
COLOURS = tuple(PALETTE)
SIZES = ("small", "large")
PREDICATES = ("left of", "right of", "above", "below")
EVENTS = ("moves left", "moves right", "moves up", "moves down", "appears", "disappears")
_SCENE_WORDS = (*SIZES, *COLOURS, *SHAPES, "left", "right", "above", "below")
_CLIP_WORDS = (*COLOURS, *SHAPES, "moves", "left", "right", "up", "down", "appears", "disappears")
VOCABULARY = tuple(dict.fromkeys(("<pad>", "a", "the", "and", "of", *_SCENE_WORDS, *_CLIP_WORDS)))

_GRID = 3
_RADIUS = ((0.08, 0.095), (0.13, 0.145))  # half a box, of small and of large objects
_JITTER = 0.02  # with the largest radius still inside half a cell, 1 / 6
_RGB = np.array(list(PALETTE.values()), dtype=np.uint8)
_ID = {word: i for i, word in enumerate(VOCABULARY)}


class SceneObject(NamedTuple):
    """One object: its class, colour and size in words, its box (x0, y0, x1, y1)."""

    shape: str
    colour: str
    size: str
    box: tuple[float, float, float, float]


class Parse(NamedTuple):
    """What a caption says. A class names an object, as no class occurs twice in a scene.

    objects : the classes, in the order of mention; the first is the subject of all relations
    attributes : pairs (class, attribute)
    relations : triples (class of the subject, predicate, class of the object)
    """

    objects: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]
    relations: tuple[tuple[str, str, str], ...]


def true_relations(boxes: ArrayLike) -> NDArray[np.bool_]:
    """Return which relations hold between boxes.

    Parameters
    ----------
    boxes : array-like of shape (..., k, 4)
        (x0, y0, x1, y1), y downwards.

    Returns
    -------
    ndarray of bool, shape (..., k, k, 4)
        ``[..., s, o, p]`` says whether object s stands in the relation ``PREDICATES[p]`` to
        object o.
    """
    x0, y0, x1, y1 = np.moveaxis(np.asarray(boxes, dtype=float), -1, 0)
    left = x1[..., :, None] <= x0[..., None, :]
    above = y1[..., :, None] <= y0[..., None, :]
    return np.stack([left, left.swapaxes(-1, -2), above, above.swapaxes(-1, -2)], axis=-1)


class _ScenePictures:
    """Pictures of scenes, drawn when asked for."""

    def __init__(self, classes: Array, colours: Array, boxes: Array, size: int) -> None:
        self.classes, self.colours, self.boxes, self.size = classes, colours, boxes, size

    def __getitem__(self, index: int) -> Image.Image:
        return _draw(self.classes[index], self.colours[index], self.boxes[index], self.size)


def _draw(classes: Array, colours: Array, boxes: Array, size: int) -> Image.Image:
    """Draw objects on white, at four times the size and scaled down for smooth edges."""
    fine = 4 * size
    canvas = Image.new("RGB", (fine, fine), "white")
    pen = ImageDraw.Draw(canvas)
    for shape, colour, box in zip(classes, _RGB[colours], boxes * fine, strict=True):
        corner, extent = box[:2], box[2:] - box[:2]
        if extent[0] <= 0:  # an object that is not there yet, or no more
            continue
        outline = _OUTLINES[SHAPES[shape]]
        if outline is None:
            pen.ellipse(box.tolist(), fill=tuple(colour.tolist()))
        else:
            points = corner + (outline + 1) / 2 * extent
            pen.polygon(points.ravel().tolist(), fill=tuple(colour.tolist()))
    return canvas.reduce(4)


class _Generated(PairedDataset):
    """Pairs with further arrays that have a row for each pair."""

    def take(self, rows: ArrayLike) -> Self:
        """Return the data set of these rows, in this order."""
        rows = np.asarray(rows)
        own = {field.name for field in fields(self)} - {f.name for f in fields(PairedDataset)}
        arrays = {name: getattr(self, name) for name in own}
        cut = {name: x[rows] for name, x in arrays.items() if isinstance(x, np.ndarray)}
        part: Any = super().take(rows)
        return replace(part, **cut)


@dataclass(frozen=True, repr=False, kw_only=True)
class Scenes(_Generated):
    """Generated scenes, their captions and all that is true of them; made by :func:`make_scenes`.

    Row i of every array belongs to scene i, also after ``take`` and ``split``. There are n scenes
    of k objects; objects stand in random order. A caption has at most T words.

    Attributes
    ----------
    image : ndarray of shape (n, 16)
        Bag of objects: for each class how much of its cell it fills (0 if it is absent), then for
        each colour 1 if it occurs.
    text : ndarray of shape (n, 22)
        Bag of words: counts of sizes, colours, classes and predicates, in the order of
        ``VOCABULARY``.
    labels : ndarray of shape (n,)
        Class of the large object. The caption always tells which one is the large object.
    classes, colours, sizes : ndarray of int, shape (n, k)
        Numbers in ``SHAPES``, ``COLOURS`` and ``SIZES``.
    boxes : ndarray of shape (n, k, 4)
        (x0, y0, x1, y1) in [0, 1], y downwards; they touch the shape on all sides.
    stated : ndarray of int, shape (n, r, 3)
        The relations of the caption, (subject, predicate, object): objects by their place in the
        scene, predicates by their number in ``PREDICATES``. The subject is the same in all. Rows
        of -1 where fewer than r are stated.
    size_said : ndarray of bool, shape (n, k)
        Whether the caption says the object's size, if it mentions the object.
    tokens : ndarray of int, shape (n, T)
        Words by their number in ``VOCABULARY``; 0 is padding.
    token_objects : ndarray of int, shape (n, T)
        Which object a noun or an adjective belongs to; -1 for all other words.
    heads : ndarray of int, shape (n, T)
        Dependency parse: position of the word that each word depends on. Articles and adjectives
        depend on their noun, a predicate on its subject, its object on the predicate, "of" and
        "and" on the predicate. -1 for the root, which is the subject, and for padding.
    picture_size : int
        Width and height of the pictures, in pixels.
    """

    classes: Array
    colours: Array
    sizes: Array
    boxes: Array
    stated: Array
    size_said: Array
    tokens: Array
    token_objects: Array
    heads: Array
    picture_size: int

    def __repr__(self) -> str:
        n, k = self.classes.shape
        return f"Scenes({n} scenes of {k} objects)"

    @property
    def token_mask(self) -> NDArray[np.bool_]:
        """True where there is a word, False at padding; shape (n, T)."""
        return self.tokens != 0

    @property
    def regions(self) -> NDArray[np.float64]:
        """Region features of shape (n, k, 18): class, colour and size, each one-hot."""
        parts = (self.classes, SHAPES), (self.colours, COLOURS), (self.sizes, SIZES)
        return np.concatenate([np.eye(len(names))[index] for index, names in parts], axis=-1)

    @property
    def relations(self) -> NDArray[np.bool_]:
        """All true relations, shape (n, k, k, 4): see :func:`true_relations`."""
        return true_relations(self.boxes)

    def pixels(self) -> NDArray[np.uint8]:
        """Return all pictures as one array of shape (n, picture_size, picture_size, 3)."""
        return np.stack([np.asarray(self.picture(row)) for row in range(len(self))])

    def objects(self, row: int) -> tuple[SceneObject, ...]:
        """Return the objects of one scene."""
        x = (self.classes[row], self.colours[row], self.sizes[row], self.boxes[row])
        return tuple(
            SceneObject(SHAPES[c], COLOURS[h], SIZES[s], tuple(box.tolist()))
            for c, h, s, box in zip(*x, strict=True)
        )

    def words(self, row: int) -> tuple[str, ...]:
        """Return the words of one caption; word i is ``tokens[row, i]``."""
        return tuple(VOCABULARY[token] for token in self.tokens[row] if token)

    def parse(self, row: int) -> Parse:
        """Return what one caption says, read off its words and their heads."""
        words, heads = self.words(row), self.heads[row]
        nouns = [i for i, word in enumerate(words) if word in SHAPES]
        return Parse(
            objects=tuple(words[i] for i in nouns),
            attributes=tuple(
                (words[heads[i]], word)
                for i, word in enumerate(words)
                if word in SIZES or word in COLOURS
            ),
            relations=tuple(
                (words[heads[heads[i]]], _PREDICATE[words[heads[i]]], words[i])
                for i in nouns
                if heads[i] >= 0
            ),
        )


_PREDICATE = {predicate.split()[0]: predicate for predicate in PREDICATES}


def make_scenes(
    n_scenes: int = 1000,
    n_objects: int = 3,
    *,
    picture_size: int = 64,
    random_state: int | None = None,
) -> Scenes:
    """Draw scenes of coloured shapes, with captions such as "a red star left of a blue cross".

    A caption relates one object to one other, or to two others where there are three or more.
    It says that the large object is large, or that the others are small, or both.

    Parameters
    ----------
    n_scenes : int, default=1000
    n_objects : int from 2 to 5, default=3
        Objects in each scene.
    picture_size : int, default=64
        Width and height of the pictures in pixels, at least 48. Pictures are drawn when asked for.
    random_state : int, optional
        Scene i depends on the seed alone, not on `n_scenes`.

    Returns
    -------
    Scenes
        A :class:`PairedDataset` with everything that is true of the scenes.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> from cmrlib.datasets import make_scenes
    >>> scenes = make_scenes(100, random_state=0)
    >>> scenes.captions[1]
    'a small red triangle left of a large green arrow and below a small blue star'
    >>> scenes.parse(1).relations
    (('triangle', 'left of', 'arrow'), ('triangle', 'below', 'star'))
    """
    n = _whole(n_scenes, "n_scenes", 1)
    k = _whole(n_objects, "n_objects", 2, 5)
    picture_size = _whole(picture_size, "picture_size", 48)
    # one row of numbers a scene, so that a scene does not depend on how many come after it
    widths = (_GRID**2, len(SHAPES), len(COLOURS), k, 2 * k, k, 1, 1, 2, 1)
    draws = np.random.default_rng(random_state).random((n, sum(widths)))
    parts = np.split(draws, np.cumsum(widths)[:-1], axis=1)
    cells, classes, colours, radii, jitter, mention, large, count, which, style = parts

    order = np.argsort(mention, axis=1)  # objects in the order of mention
    n_stated = 1 + (count * min(2, k - 1)).astype(int)
    sizes = np.zeros((n, k), dtype=int)
    main = np.take_along_axis(order, (large * (n_stated + 1)).astype(int), axis=1)
    np.put_along_axis(sizes, main, 1, axis=1)

    cell = np.argsort(cells, axis=1)[:, :k]
    centres = _cell_centres(cell) + _JITTER * (2 * jitter.reshape(n, k, 2) - 1)
    smallest, largest = np.array(_RADIUS)[sizes].transpose(2, 0, 1)
    boxes = _boxes(_exact(centres), _exact(smallest + (largest - smallest) * radii))

    rows = np.arange(n)
    truth = true_relations(boxes)
    stated = np.full((n, min(2, k - 1), 3), -1)
    for j in range(stated.shape[1]):
        s, o = order[:, 0], order[:, j + 1]
        options = truth[rows, s, o]  # one true predicate, or two on a diagonal
        first, last = options.argmax(axis=1), 3 - options[:, ::-1].argmax(axis=1)
        p = np.where(which[:, j] < 0.5, first, last)
        stated[:, j] = np.where(j < n_stated, np.stack([s, p, o], axis=1), -1)
    said = (style * 3).astype(int)  # 0: large, 1: small, 2: both
    return _assemble(
        classes=np.argsort(classes, axis=1)[:, :k],
        colours=np.argsort(colours, axis=1)[:, :k],
        sizes=sizes,
        boxes=boxes,
        stated=stated,
        size_said=np.where(sizes == 1, said != 1, said != 0),
        picture_size=picture_size,
    )


def _whole(value: Any, name: str, low: int, high: int | None = None) -> int:
    """Return a whole number in its range, or refuse it."""
    wanted = f"at least {low}" if high is None else f"from {low} to {high}"
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, {wanted}, got {value!r}.") from None
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} must be a whole number, {wanted}, got {number}.")
    return number


def _cell_centres(cell: Array) -> Array:
    """Return the centres (x, y) of cells, numbered row by row."""
    return (np.stack([cell % _GRID, cell // _GRID], axis=-1) + 0.5) / _GRID


def _exact(x: Array) -> Array:
    """Round to multiples of 1 / 4096, whose sums and differences are exact.

    So a box that is put elsewhere keeps its size to the last bit, and so do all features.
    """
    return np.round(4096 * x) / 4096


def _centres(boxes: Array) -> Array:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _radii(boxes: Array) -> Array:
    return (boxes[..., 2] - boxes[..., 0]) / 2


def _boxes(centres: Array, radii: Array) -> Array:
    return np.concatenate([centres - radii[..., None], centres + radii[..., None]], axis=-1)


def _assemble(
    *,
    classes: Array,
    colours: Array,
    sizes: Array,
    boxes: Array,
    stated: Array,
    size_said: Array,
    picture_size: int,
) -> Scenes:
    """Write the captions of scenes, and put all together."""
    n, k = classes.shape
    length = 10 if stated.shape[1] == 1 else 17  # of the longest caption
    tokens = np.zeros((n, length), dtype=int)
    token_objects, heads = np.full((2, n, length), -1)
    captions = []
    facts = (array.tolist() for array in (classes, colours, sizes, size_said, stated))
    for row, fact in enumerate(zip(*facts, strict=True)):
        words, owners, above = _describe(*fact)
        tokens[row, : len(words)] = [_ID[word] for word in words]
        token_objects[row, : len(words)] = owners
        heads[row, : len(words)] = above
        captions.append(" ".join(words))

    image = np.zeros((n, len(SHAPES) + len(COLOURS)))
    rows = np.arange(n)[:, None]
    image[rows, classes] = (2 * _GRID * _radii(boxes)) ** 2
    image[rows, len(SHAPES) + colours] = 1
    return Scenes(
        name="scenes",
        image=image,
        text=_bag_of_words(tokens, _SCENE_WORDS),
        labels=classes[sizes == 1],
        class_names=SHAPES,
        captions=tuple(captions),
        pictures=_ScenePictures(classes, colours, boxes, picture_size),
        classes=classes,
        colours=colours,
        sizes=sizes,
        boxes=boxes,
        stated=stated,
        size_said=size_said,
        tokens=tokens,
        token_objects=token_objects,
        heads=heads,
        picture_size=picture_size,
    )


def _bag_of_words(tokens: Array, words: Sequence[str]) -> Array:
    """Return how often each of these words occurs in each row."""
    counts = np.zeros((len(tokens), len(VOCABULARY)))
    np.add.at(counts, (np.arange(len(tokens))[:, None], tokens), 1)
    return counts[:, [_ID[word] for word in words]]


def _describe(
    classes: list[int],
    colours: list[int],
    sizes: list[int],
    size_said: list[bool],
    stated: list[list[int]],
) -> tuple[list[str], list[int], list[int]]:
    """Return the words of a caption, the object that each belongs to, and their heads."""
    words: list[str] = []
    owners: list[int] = []
    heads: list[int] = []

    def phrase(item: int, head: int) -> int:
        """Append "a small red star", whose noun depends on `head`; return the noun's place."""
        size = [SIZES[sizes[item]]] if size_said[item] else []
        adjectives = [*size, COLOURS[colours[item]]]
        noun = len(words) + len(adjectives) + 1
        words.extend(["a", *adjectives, SHAPES[classes[item]]])
        owners.extend([-1] + [item] * (len(adjectives) + 1))
        heads.extend([noun] * (len(adjectives) + 1) + [head])
        return noun

    root = phrase(stated[0][0], -1)
    for j, (_, p, item) in enumerate(stated):
        if p < 0:
            break
        predicate = len(words) + (j > 0)
        joint = ["and"] if j else []
        name = PREDICATES[p].split()
        words.extend([*joint, *name])
        owners.extend([-1] * (len(joint) + len(name)))
        heads.extend([predicate] * len(joint) + [root] + [predicate] * (len(name) - 1))
        phrase(item, predicate)
    return words, owners, heads


# Probes ---------------------------------------------------------------------------------------

PROBES = ("swap", "rebind", "move")
PairScore = Callable[[Scenes, Scenes], ArrayLike]


@dataclass(frozen=True)
class Probe:
    """Scenes and their twins, which differ in one thing; made by :func:`make_probe`.

    kind : "swap", "rebind" or "move"
    scenes : n scenes with their captions
    twins : the altered scenes; their captions fit them, except in "move", where they stay the same
    """

    kind: str
    scenes: Scenes
    twins: Scenes

    def __len__(self) -> int:
        return len(self.scenes)


class ProbeScore(NamedTuple):
    """accuracy : share of comparisons that the right side wins, a tie counts as one half.
    changed : share of comparisons that are no ties.
    """

    accuracy: float
    changed: float


def make_probe(scenes: Scenes, kind: str, *, random_state: int | None = None) -> Probe:
    """Give every scene a twin that differs from it in one thing only.

    Let s be the subject and o the object of the first relation of the caption.

    * **swap**: in the picture, s and o exchange their places (the centres of their boxes; each
      keeps its size). In the caption, the two phrases are exchanged.
    * **rebind**: s and o exchange their colours, in the picture and in the caption.
    * **move**: the box of s or of o moves to a free cell, such that the first relation of the
      caption is no longer true. The caption stays.

    After swap and rebind the same objects or the same colours and classes are there, and the
    caption has the same words: a model that compares bags, of words or of objects, cannot tell a
    scene from its twin. Either caption is true of its own picture and false of the other. Labels
    never change.

    Parameters
    ----------
    scenes : Scenes
    kind : {"swap", "rebind", "move"}
    random_state : int, optional
        Where objects move to; used by "move" alone.

    Raises
    ------
    ValueError
        If there is no such probe.
    """
    if kind not in PROBES:
        raise ValueError(f"kind must be one of {', '.join(map(repr, PROBES))}, got {kind!r}.")
    subject, predicate, item = scenes.stated[:, 0].T
    colours, boxes, stated = scenes.colours, scenes.boxes, scenes.stated
    if kind == "swap":
        boxes = _boxes(_exchange(_centres(boxes), subject, item), _radii(boxes))
        n, k = scenes.classes.shape
        names = _exchange(np.tile([*range(k), -1], (n, 1)), subject, item)  # -1 stays -1
        ends = names[np.arange(n)[:, None, None], stated[:, :, [0, 2]]]
        stated = np.stack([ends[..., 0], stated[..., 1], ends[..., 1]], axis=-1)
    elif kind == "rebind":
        colours = _exchange(colours, subject, item)
    else:
        boxes = _move(boxes, subject, predicate, item, np.random.default_rng(random_state))
    twins = _assemble(
        classes=scenes.classes,
        colours=colours,
        sizes=scenes.sizes,
        boxes=boxes,
        stated=stated,
        size_said=scenes.size_said,
        picture_size=scenes.picture_size,
    )
    return Probe(kind, scenes, twins)


def _exchange(array: Array, i: Array, j: Array) -> Array:
    """Return a copy with entries i[row] and j[row] of every row exchanged."""
    result, rows = array.copy(), np.arange(len(array))
    result[rows, i], result[rows, j] = array[rows, j], array[rows, i]
    return result


def _move(
    boxes: Array, subject: Array, predicate: Array, item: Array, rng: np.random.Generator
) -> Array:
    """Move the subject or the object of each scene to a free cell that breaks their relation."""
    n, k = boxes.shape[:2]
    rows, cells = np.arange(n), np.arange(_GRID**2)
    centres = _centres(boxes)
    place = (centres * _GRID).astype(int)  # column, row
    cell = place[..., 0] + _GRID * place[..., 1]
    taken = (cell[:, :, None] == cells).any(axis=1)
    x_y = np.stack([cells % _GRID, cells // _GRID], axis=1)
    legal = []
    for sign, other in ((1, item), (-1, subject)):
        dx, dy = np.moveaxis(sign * (x_y - place[rows, other][:, None]), -1, 0)
        holds = np.stack([dx < 0, dx > 0, dy < 0, dy > 0], axis=-1)
        legal.append(~taken & ~holds[rows, :, predicate])
    options = np.concatenate(legal, axis=1)
    pick = (options * (1 - rng.random(options.shape))).argmax(axis=1)
    mover, target = np.where(pick < len(cells), subject, item), pick % len(cells)
    shift = _exact(_cell_centres(target) - _cell_centres(cell[rows, mover]))
    result = boxes.copy()
    result[rows, mover] += np.tile(shift, 2)
    return result


def score_probe(probe: Probe, score: PairScore, *, tol: float = 1e-6) -> ProbeScore:
    """Say how often a model prefers what is right.

    For swap and rebind there are four comparisons a scene: either picture with its own caption
    against the other caption, and either caption with its own picture against the other picture.
    For move there is one: the caption with its own picture against the picture of the twin.

    A model that sees the same text in both captions (a bag of words) gets exactly 1/2 in swap and
    rebind, whatever it makes of the pictures: both picture comparisons are ties, and of the two
    caption comparisons it wins one for every one that it loses. A model that sees the same image
    in both pictures (a bag of objects) gets exactly 1/2 in all three, with nothing changed in move.

    Parameters
    ----------
    probe : Probe
    score : callable
        ``score(pictures, captions)`` takes two :class:`Scenes` with n rows each, and returns n
        numbers: how well the picture of row i of the first fits the caption of row i of the second.
        For a fitted model of this package, ``lambda pictures, captions:
        model.similarity(pictures.image, captions.text).diagonal()``.
    tol : float, default=1e-6
        Scores that differ by no more than this times the largest absolute score are tied, so that
        rounding breaks no ties.

    Returns
    -------
    ProbeScore

    Raises
    ------
    ValueError
        If the scores are not n finite numbers.
    """

    def scores(pictures: Scenes, captions: Scenes) -> Array:
        found = np.asarray(score(pictures, captions), dtype=float)
        if found.shape != (len(probe),) or not np.isfinite(found).all():
            raise ValueError(
                f"score must return {len(probe)} finite numbers, one for each row, got an array "
                f"of shape {found.shape}."
            )
        return found

    a, b = probe.scenes, probe.twins
    own, of_twin = scores(a, a), scores(b, a)
    pairs = [(own, of_twin)]
    if probe.kind != "move":
        twins, to_twin = scores(b, b), scores(a, b)
        pairs += [(twins, to_twin), (own, to_twin), (twins, of_twin)]
    right, wrong = np.array(pairs).transpose(1, 0, 2)
    difference = right - wrong
    changed = np.abs(difference) > tol * max(np.abs(right).max(), np.abs(wrong).max())
    won = np.where(changed, difference > 0, 0.5)
    return ProbeScore(float(won.mean()), float(changed.mean()))


# Clips ----------------------------------------------------------------------------------------

_LONGEST_EVENT = 8  # frames, so that every step shows in the picture


@dataclass(frozen=True, repr=False, kw_only=True)
class Clips(_Generated):
    """Short clips in which one thing happens; made by :func:`make_clips`.

    There are n clips of F frames with k objects.

    Attributes
    ----------
    image : ndarray of shape (n, 96)
        Features of the first and of the last frame.
    text : ndarray of shape (n, 23)
        Bag of words: counts of colours, classes, verbs and directions.
    labels : ndarray of shape (n,)
        Number of the event in ``EVENTS``.
    classes, colours, sizes : ndarray of int, shape (n, k)
        As in :class:`Scenes`.
    boxes : ndarray of shape (n, F, k, 4)
        Of each object in each frame; of no extent where an object is not there.
    actors : ndarray of int, shape (n,)
        The object to which it happens.
    intervals : ndarray of int, shape (n, 2)
        When it happens, (start, stop): frame t differs from frame t - 1 exactly if
        start <= t < stop.
    frame_features : ndarray of shape (n, F, 48)
        For each class and then for each colour, three numbers about the object that has it: how
        much of its full width it has, and its centre (x, y); all 0 where there is none.
    tokens : ndarray of int, shape (n, 5)
        Words of the sentence by their number in ``VOCABULARY``; 0 is padding.
    picture_size : int
    """

    classes: Array
    colours: Array
    sizes: Array
    boxes: Array
    actors: Array
    intervals: Array
    frame_features: Array
    tokens: Array
    picture_size: int

    def __repr__(self) -> str:
        n, length, k = self.boxes.shape[:3]
        return f"Clips({n} clips of {length} frames, {k} objects)"

    @property
    def token_mask(self) -> NDArray[np.bool_]:
        """True where there is a word, False at padding; shape (n, 5)."""
        return self.tokens != 0

    def frames(self, row: int) -> tuple[Image.Image, ...]:
        """Return the frames of one clip; :meth:`picture` returns the first alone."""
        look = self.classes[row], self.colours[row]
        return tuple(_draw(*look, boxes, self.picture_size) for boxes in self.boxes[row])


def make_clips(
    n_clips: int = 500,
    n_frames: int = 12,
    n_objects: int = 3,
    *,
    picture_size: int = 64,
    random_state: int | None = None,
) -> Clips:
    """Draw clips in which one object moves, appears or disappears, with a sentence that says so.

    An object moves by one cell at constant speed; it appears or disappears by growing from
    nothing or shrinking to nothing. That takes from 2 frames to half of all frames, at most 8.

    Parameters
    ----------
    n_clips : int, default=500
    n_frames : int, default=12
        At least 6.
    n_objects : int from 2 to 5, default=3
    picture_size : int, default=64
        At least 48.
    random_state : int, optional
        Clip i depends on the seed alone, not on `n_clips`.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    n = _whole(n_clips, "n_clips", 1)
    length = _whole(n_frames, "n_frames", 6)
    scenes = make_scenes(n, n_objects, picture_size=picture_size, random_state=random_state)
    k, rows = scenes.classes.shape[1], np.arange(n)
    # a second stream beside that of the scenes, again one row of numbers a clip
    seed = np.random.SeedSequence(random_state).spawn(1)[0]
    draws = np.random.default_rng(seed).random((n, len(EVENTS) + k + 2))

    steps = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0), (0, 0)])
    centres = _centres(scenes.boxes)
    place = (centres * _GRID).astype(int)
    goal = place[:, :, None] + steps  # (n, k, events, 2)
    blocked = (goal[:, :, :4, None] == place[:, None, None]).all(axis=-1).any(axis=-1)
    legal = ((goal >= 0) & (goal < _GRID)).all(axis=-1)
    legal[:, :, :4] &= ~blocked
    of_event, of_actor = 1 - draws[:, : len(EVENTS)], 1 - draws[:, len(EVENTS) : -2]
    events = (of_event * legal.any(axis=1)).argmax(axis=1)
    actors = (of_actor * legal[rows, :, events]).argmax(axis=1)

    duration = 2 + (draws[:, -2] * (min(length // 2, _LONGEST_EVENT) - 1)).astype(int)
    start = 1 + (draws[:, -1] * (length - duration)).astype(int)
    done = (np.arange(length) - start[:, None] + 1) / duration[:, None]
    done = np.clip(done, 0, 1)  # share of the event that is over, (n, F)

    radii = np.repeat(_radii(scenes.boxes)[:, None], length, axis=1)
    moving = np.repeat(centres[:, None], length, axis=1)
    moving[rows, :, actors] += done[..., None] * steps[events][:, None] / _GRID
    there = np.ones((n, length, k))
    there[rows, :, actors] = np.select(
        [events[:, None] == EVENTS.index("appears"), events[:, None] == EVENTS.index("disappears")],
        [done, 1 - done],
        1.0,
    )
    boxes = _boxes(moving, there * radii)

    seen = np.concatenate([there[..., None], moving * (there > 0)[..., None]], axis=-1)
    features = np.zeros((n, length, len(SHAPES) + len(COLOURS), 3))
    for j in range(k):
        features[rows, :, scenes.classes[:, j]] = seen[:, :, j]
        features[rows, :, len(SHAPES) + scenes.colours[:, j]] = seen[:, :, j]
    frame_features = features.reshape(n, length, -1)

    names = zip(scenes.colours[rows, actors], scenes.classes[rows, actors], events, strict=True)
    captions = tuple(f"the {COLOURS[h]} {SHAPES[c]} {EVENTS[e]}" for h, c, e in names)
    tokens = np.zeros((n, 5), dtype=int)
    for row, caption in enumerate(captions):
        words = caption.split()
        tokens[row, : len(words)] = [_ID[word] for word in words]
    return Clips(
        name="clips",
        image=np.concatenate([frame_features[:, 0], frame_features[:, -1]], axis=1),
        text=_bag_of_words(tokens, _CLIP_WORDS),
        labels=events,
        class_names=EVENTS,
        captions=captions,
        pictures=_ScenePictures(scenes.classes, scenes.colours, boxes[:, 0], picture_size),
        classes=scenes.classes,
        colours=scenes.colours,
        sizes=scenes.sizes,
        boxes=boxes,
        actors=actors,
        intervals=np.stack([start, start + duration], axis=1),
        frame_features=frame_features,
        tokens=tokens,
        picture_size=picture_size,
    )
