"""Wrong answers to the exercises of book/datasets/scenes.md, with the reason each must get."""

import numpy as np


def mirrored(boxes, words, *, sides=True, y=False, replace=None):
    boxes = boxes.copy()
    boxes[:, [0, 2]] = 1 - (boxes[:, [2, 0]] if sides else boxes[:, [0, 2]])
    if y:
        boxes[:, [1, 3]] = 1 - boxes[:, [3, 1]]
    if replace is None:
        other = {"left": "right", "right": "left"}
        return boxes, [other.get(word, word) for word in words]
    return boxes, replace(words)


def one_after_the_other(words):
    words = ["right" if word == "left" else word for word in words]
    return ["left" if word == "right" else word for word in words]


def upside_down(boxes, words):
    boxes = boxes.copy()
    boxes[:, [1, 3]] = 1 - boxes[:, [3, 1]]
    return boxes, words


def mirrored_in_place(boxes, words):
    answer = mirrored(boxes, words)
    boxes[:] = answer[0]
    return answer


def turned_around(words):
    """Right in the first relation only."""
    i = next((i for i, word in enumerate(words) if word in ("left", "right")), None)
    if i is None:
        return words
    return [*words[:i], {"left": "right", "right": "left"}[words[i]], *words[i + 1 :]]


TRUTH = {
    "bag of words, any picture model: over 1/2 on swap": False,
    "bag of adjacent word pairs: tells the captions of rebind apart": True,
    "bag of adjacent word pairs: tells the captions of swap apart": True,
    "regions without their boxes: over 1/2 on move": False,
    "a score of the caption alone: over 1/2 on rebind": False,
    "1 on swap: the order of the words matters to the model": True,
}


def but(statement):
    return lambda: {**TRUTH, statement: not TRUTH[statement]}


def successes(S, compare=np.greater):
    own = S[:, [0, 1], [0, 1]]
    text, image = compare(own, S[:, [0, 1], [1, 0]]), compare(own, S[:, [1, 0], [0, 1]])
    return text.all(axis=1), image.all(axis=1)


def group(S, compare=np.greater):
    text, image = successes(S, compare)
    return [text.mean(), image.mean(), (text & image).mean()]


def group_of_sums(S):
    """Compares the sum of both right scores with that of the wrong ones."""
    right = S[:, 0, 0] + S[:, 1, 1] > S[:, 0, 1] + S[:, 1, 0]
    return [right.mean()] * 3


def group_counted_singly(S):
    own = S[:, [0, 1], [0, 1]]
    text, image = own > S[:, [0, 1], [1, 0]], own > S[:, [1, 0], [0, 1]]
    return [text.mean(), image.mean(), (text & image).mean()]


def iou(a, b, *, clip=True, one=0, union=True, hull=False):
    common = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0]) + one
    if clip:
        common = np.maximum(common, 0)
    total = np.diff(a)[:, 0] + np.diff(b)[:, 0] + 2 * one
    return common / (total - (common if union else 0))


def iou_of_the_first(a, b):
    common = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    return np.maximum(common, 0) / np.diff(a)[:, 0]


def found(A, owners, axis=1):
    return A.argmax(axis=axis) == owners


def aligned_by_caption(A, owners):
    pairs = zip(found(A, owners), owners >= 0, strict=True)
    return np.mean([right[named].mean() for right, named in pairs if named.any()])


def aligned_from_regions(A, owners):
    return found(A, owners, 2)[owners >= 0].mean()


def neighbours(heads, mask, *, wrap=False, both=True, diagonal=1, padding=False):
    n, length = heads.shape
    A = np.zeros((n, length, length))
    for row, word in zip(*np.nonzero(mask | padding), strict=True):
        A[row, word, word] += diagonal
        head = heads[row, word]
        if head >= 0 or wrap:
            A[row, word, head] = 1
            if both:
                A[row, head, word] = 1
    return A


WRONG = {
    "datasets/scenes/mirror": [
        (lambda *a: mirrored(*a, sides=False), "x0 > x1"),
        (lambda *a: mirrored(*a, y=True), "y is mirrored too"),
        (upside_down, "mirror x, not y"),
        (lambda *a: mirrored(*a, replace=one_after_the_other), "replaced back"),
        (lambda *a: mirrored(*a, replace=list), "left and right must change places"),
        (lambda *a: mirrored(*a, replace=turned_around), "Expected the words"),
        (mirrored_in_place, "changes its argument"),
        (lambda *a: mirrored(*a)[0], "Return two things"),
        (lambda boxes, words: mirrored(boxes + 0.01, words), "must become"),
    ],
    "datasets/scenes/blind": [
        (but("bag of words, any picture model: over 1/2 on swap"), "loses"),
        (but("bag of adjacent word pairs: tells the captions of rebind apart"), "red star"),
        (but("bag of adjacent word pairs: tells the captions of swap apart"), "star left"),
        (but("regions without their boxes: over 1/2 on move"), "only their boxes differ"),
        (but("a score of the caption alone: over 1/2 on rebind"), "right for one of them"),
        (but("1 on swap: the order of the words matters to the model"), "only their order"),
        (lambda: {}, "exactly these keys"),
    ],
    "datasets/scenes/group": [
        (lambda S: [group(S)[i] for i in (1, 0, 2)], "exchanged"),
        (lambda S: group(S, np.greater_equal), "strictly"),
        (group_counted_singly, "one by one"),
        (lambda S: [*group(S)[:2], group(S)[0] * group(S)[1]], "not independent"),
        (group_of_sums, "were expected"),
        (lambda S: [*group(S)[:2], 0.5], "share of scenes with both"),
        (lambda S: [3 / 7, 2 / 7, 1 / 7], "wrong on 400 random ones"),
    ],
    "datasets/scenes/iou": [
        (lambda a, b: iou(a, b, clip=False), "not a negative number"),
        (lambda a, b: iou(a, b, one=1), "no + 1"),
        (lambda a, b: iou(a, b, union=False), "count their common part once"),
        (iou_of_the_first, "union"),
        (lambda a, b: iou(b, b + 1), "Expected 1, 1/3, 0, 0 and 1/4"),
        (lambda a, b: np.array([1, 1 / 3, 0, 0, 1 / 4]), "shape"),
    ],
    "datasets/scenes/alignment": [
        (lambda A, owners: found(A, owners).mean(), "leave out the -1"),
        (aligned_by_caption, "every word counts the same"),
        (aligned_from_regions, "argmax over axis 1"),
        (lambda A, owners: 1 - found(A, owners)[owners >= 0].mean(), "the wrong ones"),
        (lambda A, owners: 0.5, "five find it"),
        (lambda A, owners: 5 / 7, "wrong on a random one"),
    ],
    "datasets/scenes/adjacency": [
        (lambda *a: neighbours(*a, wrap=True), "index -1"),
        (lambda *a: neighbours(*a, padding=True), "Padding has neighbours"),
        (lambda *a: neighbours(*a, both=False), "Neither end is first"),
        (lambda *a: neighbours(*a, diagonal=0), "its own neighbour"),
        (lambda *a: neighbours(*a, diagonal=2), "its own neighbour"),
        (lambda *a: neighbours(*a) * 0.5 + np.eye(8) * 0.5 * (np.arange(8) < 6), "and else 0"),
    ],
}
