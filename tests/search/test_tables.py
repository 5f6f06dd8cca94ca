"""Hash tables: what the pigeonhole principle promises, and no more."""

import numpy as np
import pytest

from cmrlib.search import HammingIndex, HashTables, packed_hamming_distance, tables

N_BITS = 24


def clustered_codes(n, n_bits, seed):
    """Codes near 20 centres, so that there are near neighbours and many ties."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2, (20, n_bits), dtype=np.uint8)
    bits = centres[rng.integers(0, 20, n)] ^ (rng.random((n, n_bits)) < 0.1)
    return np.packbits(bits.astype(np.uint8), axis=1)


CODES, QUERIES = clustered_codes(700, N_BITS, 0)[:640], clustered_codes(700, N_BITS, 0)[640:]
DISTANCES = packed_hamming_distance(QUERIES, CODES, N_BITS)


def cut(codes, n_bits, n_tables):
    """Return the bits of each substring, a list of (n, n_bits_t)."""
    bits = np.unpackbits(codes, axis=1, count=n_bits)
    edges = [i * n_bits // n_tables for i in range(n_tables + 1)]
    return [bits[:, a:b] for a, b in zip(edges, edges[1:], strict=False)]


@pytest.mark.parametrize("n_tables", [1, 2, 3, 5])
@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_finds_exactly_what_shares_a_bucket(n_tables, radius):
    index = HashTables(N_BITS, n_tables, radius).add(CODES)
    distances, ids = index.search(QUERIES, len(CODES))
    parts = zip(cut(QUERIES, N_BITS, n_tables), cut(CODES, N_BITS, n_tables), strict=True)
    reached = np.zeros(DISTANCES.shape, bool)
    for q, b in parts:
        reached |= (q[:, None, :] != b[None, :, :]).sum(axis=2) <= radius
    np.testing.assert_array_equal(index.n_compared_, reached.sum(axis=1))
    for row in range(len(QUERIES)):
        wanted = np.flatnonzero(reached[row])
        wanted = wanted[np.argsort(DISTANCES[row, wanted], kind="stable")]
        assert ids[row, : len(wanted)].tolist() == wanted.tolist()
        assert distances[row, : len(wanted)].tolist() == DISTANCES[row, wanted].tolist()
        assert (ids[row, len(wanted) :] == -1).all()
        assert (distances[row, len(wanted) :] == N_BITS + 1).all()
    # the promise of the docstring follows: nothing within m (r + 1) - 1 is missed
    promised = n_tables * (radius + 1) - 1
    assert reached[promised >= DISTANCES].all()


def test_one_table_returns_the_ball():
    index = HashTables(N_BITS, 1, 2).add(CODES)
    index.search(QUERIES, 1)
    np.testing.assert_array_equal(index.n_compared_, (DISTANCES <= 2).sum(axis=1))


@pytest.mark.parametrize("n_tables", [1, 2, 3, 4, 24])
@pytest.mark.parametrize("k", [1, 10, 640, 700])
def test_without_a_radius_it_is_exact(n_tables, k):
    index = HashTables(N_BITS, n_tables, radius=None).add(CODES)
    exact = HammingIndex(N_BITS).add(CODES).search(QUERIES, k)
    for found, true in zip(index.search(QUERIES, k), exact, strict=True):
        np.testing.assert_array_equal(found, true)
    if k == 1 and n_tables in (2, 3):
        assert index.n_compared_.mean() < len(CODES) / 3  # not by comparing with everything


def test_probing_and_scanning_the_keys_agree():
    table = HashTables(N_BITS, 2, 0).add(CODES)._file_codes()[0]
    assert sum(len(table.ring(table.keys[0], r)) for r in range(13)) == len(CODES)
    for radius in range(4):
        probed = table._replace(n_bits=12).ring(table.keys[3], radius)
        wide = table._replace(n_bits=60).ring(table.keys[3], radius)  # scans from radius 2 on
        assert sorted(probed) == sorted(wide)


@pytest.mark.parametrize("n_bits, n_tables", [(64, 1), (100, 2), (128, 2), (130, 3)])
def test_long_substrings(n_bits, n_tables):
    codes = clustered_codes(300, n_bits, 1)
    index = HashTables(n_bits, n_tables, radius=None).add(codes)
    exact = HammingIndex(n_bits).add(codes).search(codes[:20], 5)
    for found, true in zip(index.search(codes[:20], 5), exact, strict=True):
        np.testing.assert_array_equal(found, true)


def test_codes_are_unpacked_part_by_part(monkeypatch):
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 100)
    parted = HashTables(N_BITS, 3, 1).add(CODES).search(QUERIES, 5)
    monkeypatch.undo()
    for a, b in zip(parted, HashTables(N_BITS, 3, 1).add(CODES).search(QUERIES, 5), strict=True):
        np.testing.assert_array_equal(a, b)


def test_added_codes_are_found():
    index = HashTables(N_BITS, 2, 0).add(CODES[:10])
    index.search(QUERIES, 1)
    index.add(CODES[10:])
    found = index.search(CODES[500:501], 1)
    assert found[0][0, 0] == 0
    assert (CODES[found[1][0, 0]] == CODES[500]).all()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((8, 9), "at least as many bits"),
        ((65, 1), "n_tables >= 2"),
        ((8, 0), "n_tables must be"),
        ((8, 1, -1), "radius must be a whole number of at least 0"),
        ((0,), "n_bits must be"),
    ],
)
def test_bad_parameters_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        HashTables(*arguments)
