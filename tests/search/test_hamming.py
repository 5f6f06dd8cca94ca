"""Exact Hamming search against sorting all distances, ties by id."""

import numpy as np
import pytest

from cmrlib.base import HashModel
from cmrlib.search import HammingIndex, hamming, hamming_top_k, packed_hamming_distance

WIDTHS = [1, 7, 8, 16, 24, 32, 48, 64, 65, 96, 128, 256, 300, 520]


def random_codes(n, n_bits, seed):
    bits = np.random.default_rng(seed).integers(0, 2, (n, n_bits), dtype=np.uint8)
    return np.packbits(bits, axis=1)


def all_distances(queries, codes, n_bits):
    """Count differing bits one by one."""
    Q, B = (np.unpackbits(a, axis=1, count=n_bits) for a in (queries, codes))
    return (Q[:, None, :] != B[None, :, :]).sum(axis=2)


def brute_force(queries, codes, n_bits, k):
    D = all_distances(queries, codes, n_bits)
    ids = np.argsort(D, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(D, ids, 1), ids


@pytest.fixture(params=["bitwise_count", "table"])
def popcount(request, monkeypatch):
    """Both ways to count ones: NumPy 2's, and the table for NumPy 1."""
    if request.param == "table":
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    elif not hasattr(np, "bitwise_count"):
        pytest.skip("NumPy 1 has no bitwise_count")


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_equals_brute_force_for_every_width(n_bits, popcount, monkeypatch):
    monkeypatch.setattr(hamming, "_BLOCK_BYTES", 1000)  # several blocks, the last one shorter
    codes, queries = random_codes(503, n_bits, 0), random_codes(9, n_bits, 1)
    np.testing.assert_array_equal(
        packed_hamming_distance(queries, codes, n_bits), all_distances(queries, codes, n_bits)
    )
    for k in (1, 10, 503):
        distances, ids = HammingIndex(n_bits).add(codes).search(queries, k)
        truth = brute_force(queries, codes, n_bits, k)
        np.testing.assert_array_equal(distances, truth[0])
        np.testing.assert_array_equal(ids, truth[1])


def test_distances_beyond_a_byte(popcount):
    zeros, ones = np.zeros((1, 80), np.uint8), np.full((1, 80), 255, np.uint8)
    assert packed_hamming_distance(zeros, ones, 640)[0, 0] == 640
    distances, _ = HammingIndex(640).add(np.concatenate([ones, zeros])).search(zeros, 2)
    assert distances.tolist() == [[0, 640]]


@pytest.mark.parametrize("step", [8, 24, 1000])
def test_of_equal_distances_the_smaller_id_comes_first(step, monkeypatch):
    monkeypatch.setattr(hamming, "_BLOCK_BYTES", step)
    codes = np.array([[3], [1], [0], [1], [0], [3], [0], [2]] * 8, np.uint8)
    query = np.zeros((1, 1), np.uint8)
    for k in range(1, len(codes) + 1):
        distances, ids = HammingIndex(8).add(codes).search(query, k)
        truth = brute_force(query, codes, 8, k)
        assert ids.tolist() == truth[1].tolist()
        assert distances.tolist() == truth[0].tolist()


def test_all_codes_equal():
    codes = np.full((1000, 8), 170, np.uint8)
    distances, ids = HammingIndex(64).add(codes).search(codes[:2], 5)
    assert ids.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert not distances.any()


def test_two_adds_number_on_and_copy():
    codes, queries = random_codes(50, 16, 2), random_codes(5, 16, 3)
    once = HammingIndex(16).add(codes).search(queries, 7)
    index, changed = HammingIndex(16).add(codes[:20]), codes[20:].copy()
    index.add(changed)
    changed[:] = 0
    assert len(index) == 50
    for a, b in zip(index.search(queries, 7), once, strict=True):
        np.testing.assert_array_equal(a, b)


def test_memory_map_is_searched_as_it_lies(tmp_path):
    codes, queries = random_codes(3000, 64, 4), random_codes(4, 64, 5)
    np.save(tmp_path / "codes.npy", codes)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    truth = brute_force(queries, codes, 64, 10)
    for found, true in zip(hamming_top_k(queries, mapped, 64, 10), truth, strict=True):
        np.testing.assert_array_equal(found, true)


def test_memory_beside_the_codes_is_bounded():
    import tracemalloc

    codes, queries = random_codes(1_000_000, 64, 6), random_codes(20, 64, 7)
    tracemalloc.start()
    hamming_top_k(queries, codes, 64, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # all distances at once would be 20 MB, one query's in int64 8 MB


class Signs(HashModel):
    """The sign of every feature; enough of a hash to pack codes."""

    def __init__(self, n_bits=12):
        self.n_bits = n_bits

    def _fit(self, X, Y, labels):
        pass

    def _encode_image(self, X):
        return X

    def _encode_text(self, Y):
        return Y


def test_packed_codes_of_a_hash_model_rank_as_its_similarity():
    rng = np.random.default_rng(8)
    X, Y = rng.normal(size=(2, 40, 12))
    model = Signs().fit(X, Y)
    index = HammingIndex(12).add(model.pack(model.encode_text(Y)))
    distances, ids = index.search(model.pack(model.encode_image(X)), 40)
    equal = np.take_along_axis(model.similarity(X, Y), ids, 1)
    np.testing.assert_array_equal(distances, 12 - equal)
