"""Exact cosine search against sorting all cosines, and the merge of several answers."""

import numpy as np
import pytest

from cmrlib.base import cosine_similarity
from cmrlib.search import CosineIndex, cosine, merge_top_k


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(cosine, "_BLOCK_ROWS", 37)
    monkeypatch.setattr(cosine, "_QUERIES_AT_ONCE", 4)


def test_equals_brute_force():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 20)) * rng.uniform(0.01, 100, (500, 1))
    queries = rng.normal(size=(9, 20))
    S = cosine_similarity(queries, rows)
    order = np.argsort(-S, axis=1)
    for k in (1, 10, 500):
        similarities, ids = CosineIndex(20).add(rows).search(queries, k)
        np.testing.assert_array_equal(ids, order[:, :k])
        truth = np.take_along_axis(S, order, 1)[:, :k]
        np.testing.assert_allclose(similarities, truth, atol=2e-7)


def test_equal_rows_tie_wherever_they_stand():
    rng = np.random.default_rng(1)
    rows = np.repeat(rng.normal(size=(30, 33)), 7, axis=0)[rng.permutation(210)]
    queries = rng.normal(size=(6, 33))
    _, ids = CosineIndex(33).add(rows).search(queries, 210)
    S = cosine_similarity(queries, rows).round(9)
    np.testing.assert_array_equal(ids, np.argsort(-S, axis=1, kind="stable"))


def test_length_does_not_matter_and_zero_is_orthogonal_to_all():
    rows = [[3e200, 0], [0, 0], [0, -2], [1e-200, 1e-200]]
    similarities, ids = CosineIndex(2).add(rows).search([[7, 0], [0, 0]], 4)
    assert ids.tolist() == [[0, 3, 1, 2], [0, 1, 2, 3]]
    np.testing.assert_allclose(similarities, [[1, 0.5**0.5, 0, 0], [0, 0, 0, 0]], rtol=1e-7)
    assert not np.signbit(similarities).any()  # no -0


def test_loading_does_not_round_again(tmp_path):
    rows = np.random.default_rng(3).normal(size=(5000, 2))
    CosineIndex(2).add(rows).save(tmp_path / "a.index")
    CosineIndex.load(tmp_path / "a.index").save(tmp_path / "b.index")
    assert (tmp_path / "a.index").read_bytes() == (tmp_path / "b.index").read_bytes()


def test_bad_rows_are_refused():
    index = CosineIndex(2)
    with pytest.raises(ValueError, match="must have shape"):
        index.add([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="must have shape"):
        index.add([1.0, 2.0])
    with pytest.raises(ValueError, match="NaN or infinity"):
        index.add([[1.0, np.nan]])
    with pytest.raises(TypeError, match="real numbers"):
        index.add([["a", "b"]])
    assert len(index) == 0
    with pytest.raises(ValueError, match="n_features"):
        CosineIndex(0)


@pytest.mark.parametrize("larger_is_closer", [False, True])
def test_merged_parts_equal_the_whole(larger_is_closer):
    rng = np.random.default_rng(2)
    values = rng.integers(0, 6, (5, 40))  # many ties
    sign = -1 if larger_is_closer else 1
    whole = np.argsort(sign * values, axis=1, kind="stable")[:, :9]
    parts = []
    for columns in np.array_split(rng.permutation(40), 4):
        columns = np.sort(columns)
        order = np.argsort(sign * values[:, columns], axis=1, kind="stable")[:, :9]
        parts.append((np.take_along_axis(values[:, columns], order, 1), columns[order]))
    for arranged in (parts, parts[::-1]):
        found, ids = merge_top_k(arranged, 9, larger_is_closer=larger_is_closer)
        np.testing.assert_array_equal(ids, whole)
        np.testing.assert_array_equal(found, np.take_along_axis(values, whole, 1))


def test_merge_refuses_what_it_cannot_give():
    part = (np.array([[1, 2]]), np.array([[0, 1]]))
    with pytest.raises(ValueError, match="k must be a whole number"):
        merge_top_k([part], 0)
    with pytest.raises(ValueError, match="hold 4 answers a query; k=5"):
        merge_top_k([part, part], 5)
