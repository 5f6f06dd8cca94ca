"""What holds for every index: bad input, too large k, and files."""

import hashlib
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from cmrlib import search
from cmrlib.search import CosineIndex, HammingIndex, HashTables, SearchIndex, _file

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 256, (60, 2), dtype=np.uint8)
ROWS = RNG.normal(size=(60, 5)).astype(np.float32)

BINARY = {
    "HammingIndex": partial(HammingIndex, 16),
    "HashTables": partial(HashTables, 16, n_tables=2, radius=8),
    "HashTables exact": partial(HashTables, 16, n_tables=2, radius=None),
}
COSINE = {"CosineIndex": partial(CosineIndex, 5)}
if importlib.util.find_spec("faiss"):
    BINARY |= {
        "FaissHamming": partial(search.FaissHamming, 16),
        "FaissHammingIVF": partial(search.FaissHammingIVF, 16, n_lists=4, n_probe=4),
        "FaissHammingHNSW": partial(search.FaissHammingHNSW, 16, ef_search=100),
    }
    COSINE |= {
        "FaissCosine": partial(search.FaissCosine, 5),
        "FaissCosineIVF": partial(search.FaissCosineIVF, 5, n_lists=4, n_probe=4),
        "FaissCosineHNSW": partial(search.FaissCosineHNSW, 5, ef_search=100),
    }
every_binary = pytest.mark.parametrize("make", BINARY.values(), ids=BINARY)
every_index = pytest.mark.parametrize(
    "make, rows",
    [(make, CODES) for make in BINARY.values()] + [(make, ROWS) for make in COSINE.values()],
    ids=[*BINARY, *COSINE],
)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@every_index
def test_every_item_finds_itself(make, rows):
    index = make().add(rows)
    values, ids = index.search(rows, 3)
    assert values.shape == ids.shape == (60, 3)
    assert ids.dtype == np.int64
    found = rows[ids[:, 0]]
    np.testing.assert_array_equal(found, rows)  # equal codes may have another's number
    steps = np.diff(values, axis=1)
    assert (steps <= 0).all() if index.larger_is_closer else (steps >= 0).all()


@every_index
def test_k_beyond_the_database_is_filled_up(make, rows):
    values, ids = make().add(rows).search(rows[:4], 70)
    assert values.shape == (4, 70)
    assert (np.sort(ids[:, :60], axis=1) == np.arange(60)).all()
    assert (ids[:, 60:] == -1).all()
    assert (values[:, 60:] == (17 if rows is CODES else -np.inf)).all()


@every_index
def test_bad_questions_are_refused(make, rows):
    with pytest.raises(ValueError, match="the index is empty"):
        make().search(rows, 1)
    index = make().add(rows)
    for k in (0, -1, 2.0, True, None):
        with pytest.raises(ValueError, match="k must be a whole number"):
            index.search(rows, k)
    with pytest.raises(ValueError, match="the queries must have shape"):
        index.search(rows[:, :1], 1)
    with pytest.raises(ValueError, match="the queries must have shape"):
        index.search(rows[0], 1)
    assert index.search(rows[:0], 3)[1].shape == (0, 3)
    assert len(index.add(rows[:0])) == 60


@every_binary
def test_codes_that_are_not_packed_are_refused(make):
    index = make()
    signs = np.where(np.unpackbits(CODES, axis=1) > 0, 1, -1).astype(np.int8)
    with pytest.raises(TypeError, match=r"packed into bytes .* int8: use the model's pack"):
        index.add(signs)
    with pytest.raises(ValueError, match=r"\(n, 2\), 16 bits packed, got \(60, 16\): pack them"):
        index.add(np.unpackbits(CODES, axis=1))
    with pytest.raises(ValueError, match=r"got \(60, 3\)\."):
        index.add(np.zeros((60, 3), np.uint8))
    assert len(index) == 0


def test_bits_beyond_the_width_are_refused():
    fine = np.array([[0b1111_1000]], np.uint8)
    assert len(HammingIndex(5).add(fine)) == 1
    with pytest.raises(ValueError, match="bits set beyond n_bits=5: the last 3 bits"):
        HammingIndex(5).add(fine | 1)


@every_index
def test_a_loaded_index_is_the_saved_one(make, rows, tmp_path):
    index, path = make().add(rows[:50]), tmp_path / "an.index"
    index.save(path)
    loaded = type(index).load(path)
    assert type(SearchIndex.load(path)) is type(index)
    assert len(loaded) == 50
    assert same(loaded.search(rows, 12), index.search(rows, 12))
    index.add(rows[50:])
    loaded.add(rows[50:])  # a graph may grow otherwise than it would have, but finds as much
    np.testing.assert_array_equal(loaded.search(rows, 12)[0], index.search(rows, 12)[0])
    again = tmp_path / "again.index"
    type(index).load(path).save(again)
    assert again.read_bytes() == path.read_bytes()


@every_index
def test_an_empty_index_can_be_saved(make, rows, tmp_path):
    make().save(tmp_path / "empty.index")
    loaded = SearchIndex.load(tmp_path / "empty.index")
    assert len(loaded) == 0
    assert same(loaded.add(rows).search(rows, 2), make().add(rows).search(rows, 2))


def test_another_kind_is_refused(tmp_path):
    path = tmp_path / "codes.index"
    HammingIndex(16).add(CODES).save(path)
    with pytest.raises(ValueError, match=r"holds a HammingIndex, not a CosineIndex: call Hamming"):
        CosineIndex.load(path)


@every_index
def test_a_truncated_file_is_refused_wherever_it_ends(make, rows, tmp_path):
    whole, cut = tmp_path / "whole.index", tmp_path / "cut.index"
    make().add(rows).save(whole)
    content = whole.read_bytes()
    for length in sorted({0, 1, 15, 16, 20, 24, 25, 60, *range(0, len(content), 97)}):
        cut.write_bytes(content[:length])
        with pytest.raises(ValueError, match="cut short" if length >= 16 else "not an index"):
            SearchIndex.load(cut)
    cut.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=rf"cut short after {len(content) - 1} of {len(content)}"):
        SearchIndex.load(cut)


@every_index
def test_any_changed_byte_is_noticed(make, rows, tmp_path):
    whole, changed = tmp_path / "whole.index", tmp_path / "changed.index"
    make().add(rows).save(whole)
    content = whole.read_bytes()
    for at in [*range(0, len(content), max(41, len(content) // 60)), len(content) - 1]:
        changed.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        with pytest.raises(ValueError, match="cut short|damaged|not an index|version"):
            SearchIndex.load(changed)
    changed.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="damaged"):
        SearchIndex.load(changed)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 an archive", b"\x80\x05K\x01.", b"x" * 1000])
def test_a_foreign_file_is_refused(content, tmp_path):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"foreign is not an index that cmrlib saved\.$"):
        SearchIndex.load(path)
    np.save(tmp_path / "codes.npy", CODES)
    with pytest.raises(ValueError, match="not an index"):
        SearchIndex.load(tmp_path / "codes.npy")


def forged(header, version=_file.VERSION, arrays=b""):
    """Return a file with a fitting checksum, whatever its header says."""
    text = json.dumps(header).encode()
    content = _file._MAGIC + struct.pack("<II", version, len(text)) + text + arrays
    return content + hashlib.sha256(content).digest()


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "future.index"
    path.write_bytes(forged({"class": "HammingIndex", "arrays": {}}, version=2))
    with pytest.raises(ValueError, match="has format version 2, this cmrlib reads version 1"):
        SearchIndex.load(path)


@pytest.mark.parametrize(
    "header, words",
    [
        ({"class": "Popen", "parameters": {}, "arrays": {}}, "holds a Popen, which this cmrlib"),
        ({"class": "HammingIndex"}, "damaged"),
        ([], "damaged"),
        ({"class": "HammingIndex", "arrays": {"codes": ["|O", [1]]}}, "damaged"),
        ({"class": "HammingIndex", "arrays": {"codes": ["|u1", [-1, 2]]}}, "damaged"),
        ({"class": "HammingIndex", "arrays": {"codes": ["|u1", [10**15, 2]]}}, "cut short"),
    ],
)
def test_a_forged_header_builds_nothing(header, words, tmp_path):
    path = tmp_path / "forged.index"
    path.write_bytes(forged(header))
    with pytest.raises(ValueError, match=words):
        SearchIndex.load(path)


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_an_interrupted_save_leaves_the_old_file(where, tmp_path, monkeypatch):
    path = tmp_path / "an.index"
    HammingIndex(16).add(CODES[:5]).save(path)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        HammingIndex(16).add(CODES).save(path)
    assert len(HammingIndex.load(path)) == 5
    assert os.listdir(tmp_path) == ["an.index"]


def test_a_killed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "an.index"
    HammingIndex(16).add(CODES[:5]).save(path)
    code = (
        "import os, signal, sys, numpy as np\n"
        "from cmrlib.search import HammingIndex\n"
        "os.fsync = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "HammingIndex(16).add(np.zeros((1000, 2), np.uint8)).save(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)])
    assert done.returncode == -signal.SIGKILL
    assert len(HammingIndex.load(path)) == 5


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        SearchIndex.load(tmp_path / "none.index")
