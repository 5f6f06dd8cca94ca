"""Checks for the exercises of the page book/search/large_scale.md."""

from math import comb

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape


@exercise("search/large_scale/pack")
def pack(answer: Answer) -> None:
    codes = np.array([[1, -1, -1, -1, -1, -1, -1, 1, -1, 1, 1]], np.int8)
    kept = codes.copy()
    got = shape(answer(codes), (1, 2), "the packed code of 11 bits")
    if (codes != kept).any():
        raise Wrong("The function changes its argument: work on a copy.")
    if np.array_equal(got, [[255, 224]]):
        raise Wrong("All bits are set: -1 is not zero, so compare with 0 before you pack.")
    if np.array_equal(got, [[126, 128]]):
        raise Wrong("The bits are turned round: +1 is the one.")
    if np.array_equal(got, [[129, 6]]):
        raise Wrong("The bits are in the wrong order: the first is the highest of its byte.")
    close(got, [[129, 96]], "+------+ is 129, and -++ filled up with zeros is 96.")
    if np.asarray(got).dtype != np.uint8:
        raise Wrong(f"The bytes must be uint8, not {np.asarray(got).dtype}.")
    bits = np.random.default_rng(0).integers(0, 2, (7, 16), dtype=np.uint8)
    signs = np.where(bits > 0, 1, -1)
    close(answer(signs), np.packbits(bits, axis=1), "Wrong for several codes: pack each row.")


@exercise("search/large_scale/popcount")
def popcount(answer: Answer) -> None:
    query = np.array([0, 255], np.uint8)
    codes = np.array([[0, 255], [1, 255], [7, 240], [255, 0]], np.uint8)
    got = shape(answer(query.copy(), codes.copy()), (4,), "the distances")
    reasons: list[tuple[list[int], str]] = [
        ([0, 1, 2, 2], "You count the bytes that differ: count the bits."),
        ([16, 15, 9, 0], "You count the bits that agree."),
        ([8, 9, 7, 8], "You count the ones of the codes: take the exclusive or first."),
        ([0, 1, 7 + 15, 510], "You add up the bytes of the exclusive or: count their ones."),
    ]
    for wrong, reason in reasons:
        if np.array_equal(got, wrong):
            raise Wrong(reason)
    close(got, [0, 1, 7, 16], "For 0, 255 against 7, 240 three and four bits differ.")
    far = answer(np.zeros(40, np.uint8), np.full((1, 40), 255, np.uint8))
    close(far, [320], "320 differing bits do not fit into uint8: sum in a wider type.")


@exercise("search/large_scale/occupancy")
def occupancy(answer: Answer) -> None:
    got = float(shape(answer(1000, 0), ()))
    if got == 10:
        raise Wrong("1000 items over 1024 codes are less than one item each: r is one too large.")
    close(got, 9, "For radius 0 it is the largest r with 1000 / 2^r at least 1.")
    got = float(shape(answer(1000, 2), ()))
    if got == 9:
        raise Wrong("Within radius 2 lie 1 + r + r (r - 1) / 2 codes: the radius is not used.")
    got = float(shape(answer(50_000, 1), ()))
    if got == 19:
        raise Wrong("The ball also holds the codes nearer than its radius: sum from i = 0.")
    for n, radius in [(1000, 2), (50_000, 1), (10**6, 2), (10**6, 3), (10**20, 4)]:
        r = max(1, radius)
        while n * sum(comb(r + 1, i) for i in range(radius + 1)) >= 2 ** (r + 1):
            r += 1
        close(answer(n, radius), r, f"For {n} items and radius {radius} it is {r}.", tol=1e-12)


@exercise("search/large_scale/merge")
def merge(answer: Answer) -> None:
    parts = [
        (np.array([1, 1, 2, 5]), np.array([4, 7, 0, 2])),
        (np.array([1, 6, 9, 9]), np.array([5, 3, -1, -1])),
        (np.array([2, 9, 9, 9]), np.array([1, -1, -1, -1])),
    ]
    distances, ids = _pair(answer([(d.copy(), i.copy()) for d, i in parts], 4))
    if np.array_equal(ids, [4, 7, 5, 0]):
        raise Wrong("Items 0 and 1 are equally far, so far so good, but 5 comes before 7.")
    if sorted(ids) == [1, 4, 5, 7]:
        raise Wrong("Items 0 and 1 are both at distance 2: the smaller id comes first.")
    if sorted(ids) == [1, 3, 4, 5] or sorted(ids) == [1, 4, 5]:
        raise Wrong("All k may come from one shard: do not take a share of each.")
    close(ids, [4, 5, 7, 0], "At distance 1 there are 4, 5 and 7, at distance 2 first 0.")
    close(distances, [1, 1, 1, 2], "The distances must belong to the ids.")
    distances, ids = _pair(answer([(d.copy(), i.copy()) for d, i in parts], 7), 7)
    if (ids < 0).any():
        raise Wrong("An id of -1 is no item: drop empty places.")
    close(ids, [4, 5, 7, 0, 1, 2, 3], "All seven items, closest first, ties by id.")
    mixed = [(np.array([3, 9]), np.array([8, -1])), (np.array([3, 9]), np.array([6, 10]))]
    _, ids = _pair(answer(mixed, 3), 3)
    close(ids, [6, 8, 10], "An empty place comes before an item that is just as far: drop it.")


def _pair(result: object, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("Return two arrays, (distances, ids).")
    return shape(result[0], (k,), "the distances"), shape(result[1], (k,), "the ids")


@exercise("search/large_scale/recall")
def recall(answer: Answer) -> None:
    truth = np.array([[3, 1, 2], [5, 6, 7]])
    found = np.array([[1, 3, 9], [5, 6, 7]])
    got = float(shape(answer(found.copy(), truth.copy()), ()))
    if abs(got - 1 / 2) < 1e-12:
        raise Wrong("Items 1 and 3 are found, in another order: the order does not matter.")
    if abs(got - 1) < 1e-12:
        raise Wrong("Item 2 was not found by the first query: look at each query on its own.")
    close(got, 5 / 6, "Two of three, and three of three: the mean is 5/6.")
    wide = np.array([[1, 3, 9, 2], [8, -1, -1, -1]])
    got = float(shape(answer(wide, truth), ()))
    if abs(got - 3 / 8) < 1e-12:
        raise Wrong("You divide by what was returned, which is precision: divide by the truth.")
    close(got, 1 / 2, "Three of three, and none of three; -1 is an empty place.")
    close(
        answer(np.array([[1, 4]]), np.array([[4, 9]])),
        1 / 2,
        "One of two true neighbours was found.",
    )
    close(
        answer(np.array([[9], [3]]), np.array([[3], [9]])),
        0,
        "The neighbours of one query do not count for another.",
    )
