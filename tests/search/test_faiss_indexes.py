"""FAISS through our calls: exact where it has to be, and the same numbers as our own search."""

import builtins

import numpy as np
import pytest

pytest.importorskip("faiss")

from cmrlib.search import (
    CosineIndex,
    FaissCosine,
    FaissCosineHNSW,
    FaissCosineIVF,
    FaissHamming,
    FaissHammingHNSW,
    FaissHammingIVF,
    HammingIndex,
)

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 256, (900, 3), dtype=np.uint8)  # 24 bits: many ties
CODE_QUERIES = RNG.integers(0, 256, (20, 3), dtype=np.uint8)
ROWS, ROW_QUERIES = RNG.normal(size=(900, 16)), RNG.normal(size=(20, 16))


def recall(ids, truth):
    shared = [len(np.intersect1d(a, b)) for a, b in zip(ids, truth, strict=True)]
    return np.mean(shared) / truth.shape[1]


@pytest.mark.parametrize("k", [1, 10, 900])
def test_flat_codes_equal_our_own_search(k):
    exact = HammingIndex(24).add(CODES).search(CODE_QUERIES, k)
    for found, true in zip(FaissHamming(24).add(CODES).search(CODE_QUERIES, k), exact, strict=True):
        np.testing.assert_array_equal(found, true)


@pytest.mark.parametrize("k", [1, 10, 900])
def test_flat_vectors_equal_our_own_search(k):
    values, ids = FaissCosine(16).add(ROWS).search(ROW_QUERIES, k)
    exact = CosineIndex(16).add(ROWS).search(ROW_QUERIES, k)
    np.testing.assert_allclose(values, exact[0], atol=1e-6)
    if k < 900:  # among all 900, two cosines are equal to six digits
        np.testing.assert_array_equal(ids, exact[1])


def test_ivf_that_looks_everywhere_is_exact():
    exact = HammingIndex(24).add(CODES).search(CODE_QUERIES, 10)[0]
    found = FaissHammingIVF(24, n_lists=12, n_probe=12).add(CODES).search(CODE_QUERIES, 10)
    np.testing.assert_array_equal(found[0], exact)  # which of equals it returns is up to FAISS
    distances = np.unpackbits(CODES[found[1]] ^ CODE_QUERIES[:, None], axis=2).sum(axis=2)
    np.testing.assert_array_equal(distances, found[0])

    exact = CosineIndex(16).add(ROWS).search(ROW_QUERIES, 10)
    found = FaissCosineIVF(16, n_lists=12, n_probe=12).add(ROWS).search(ROW_QUERIES, 10)
    np.testing.assert_array_equal(found[1], exact[1])
    np.testing.assert_allclose(found[0], exact[0], atol=1e-6)


def test_ivf_looks_into_as_many_lists_as_it_is_told():
    index = FaissCosineIVF(16, n_lists=30, n_probe=1).add(ROWS)
    truth = CosineIndex(16).add(ROWS).search(ROW_QUERIES, 10)[1]
    found = []
    for index.n_probe in (1, 5, 30):
        found.append(recall(index.search(ROW_QUERIES, 10)[1], truth))
    assert found[0] < found[1] < found[2] == 1


def test_hnsw_with_a_wide_search_is_exact():
    truth = CosineIndex(16).add(ROWS).search(ROW_QUERIES, 10)
    index = FaissCosineHNSW(16, n_links=16, ef_construction=100, ef_search=900).add(ROWS)
    np.testing.assert_array_equal(index.search(ROW_QUERIES, 10)[1], truth[1])
    index.ef_search = 10
    assert recall(index.search(ROW_QUERIES, 10)[1], truth[1]) < 1

    truth = HammingIndex(24).add(CODES).search(CODE_QUERIES, 10)[0]
    wide = FaissHammingHNSW(24, n_links=32, ef_construction=200, ef_search=900).add(CODES)
    np.testing.assert_array_equal(wide.search(CODE_QUERIES, 10)[0], truth)


def test_inside_an_answer_ids_of_equals_ascend(monkeypatch):
    """FAISS promises no order of equals, so one that turns them round stands in for it."""

    class Disordered:
        ntotal = 9

        def search(self, queries, k):
            ids = np.array([[7, 5, 2, 4, -1]])
            return np.array([[1, 1, 1, 3, 2**31 - 1]], np.int32), ids

    index = FaissHamming(24)
    monkeypatch.setattr(index, "_native", Disordered())
    distances, ids = index.search(CODE_QUERIES[:1], 5)
    assert distances.tolist() == [[1, 1, 1, 3, 25]]
    assert ids.tolist() == [[2, 5, 7, 4, -1]]


def test_centres_are_compared_by_cosine():
    native = FaissCosineIVF(16, n_lists=12).add(ROWS)._native
    centres = native.quantizer.reconstruct_n(0, 12)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)


def test_clusters_need_rows():
    index = FaissHammingIVF(24, n_lists=50)
    with pytest.raises(ValueError, match="n_lists=50 clusters are learnt .* only 10 rows"):
        index.add(CODES[:10])
    assert len(index) == 0
    assert len(index.add(CODES[:60]).add(CODES[60:70])) == 70  # a second add may be small


def test_odd_widths_are_filled_up():
    bits = RNG.integers(0, 2, (100, 13), dtype=np.uint8)
    codes = np.packbits(bits, axis=1)
    exact = HammingIndex(13).add(codes).search(codes[:5], 3)
    for found, true in zip(FaissHamming(13).add(codes).search(codes[:5], 3), exact, strict=True):
        np.testing.assert_array_equal(found, true)


def test_training_writes_nothing(capfd):
    FaissHammingIVF(24, n_lists=100).add(CODES)
    FaissCosineIVF(16, n_lists=100).add(ROWS)
    assert capfd.readouterr() == ("", "")


def test_missing_faiss_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without_faiss(name, *args, **kwargs):
        if name == "faiss":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_faiss)
    with pytest.raises(ImportError, match=r"pip install 'cmrlib\[search\]'"):
        FaissHamming(8)
