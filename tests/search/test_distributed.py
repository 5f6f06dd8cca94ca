"""Shards on two worker processes answer as one index in one process, and survive a kill."""

import builtins
import os
import signal
from functools import partial

import numpy as np
import pytest

from cmrlib.base import HashModel
from cmrlib.cca import CCA
from cmrlib.datasets import make_gaussian_views
from cmrlib.search import CosineIndex, FaissHamming, HammingIndex
from cmrlib.search.distributed import (
    connect,
    encode_shards,
    index_shards,
    row_shards,
    search_shards,
)

VIEWS = make_gaussian_views(1300, 8, 8, correlations=[0.9] * 6, random_state=0)
MODEL = CCA(n_components=6).fit(VIEWS.image[:300], VIEWS.text[:300])
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 256, (5000, 2), dtype=np.uint8)  # 16 bits: ties everywhere
QUERIES = RNG.integers(0, 256, (30, 2), dtype=np.uint8)


@pytest.fixture(scope="module")
def client():
    pytest.importorskip("distributed")
    with connect(n_workers=2) as client:
        yield client


@pytest.fixture
def codes(tmp_path):
    """Two files of packed codes, cut into shards that do not divide them evenly."""
    for i, part in enumerate(np.split(CODES, [3100])):
        np.save(tmp_path / f"codes-{i}.npy", part)
    return row_shards([tmp_path / "codes-0.npy", tmp_path / "codes-1.npy"], rows=700)


hamming_16 = partial(HammingIndex, 16)


def hamming_here():
    """An index maker of a module that no worker can import."""
    return HammingIndex(16)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_shards_cover_the_rows_in_order(codes):
    assert [shard.stop - shard.start for shard in codes] == [700] * 4 + [300] + [700] * 2 + [500]
    np.testing.assert_array_equal(np.concatenate([shard.rows() for shard in codes]), CODES)


@pytest.mark.parametrize("k", [1, 50, 800])
def test_in_one_process_shards_answer_as_one_index(codes, tmp_path, k):
    paths = index_shards(hamming_16, codes, tmp_path)
    assert same(search_shards(paths, QUERIES, k), HammingIndex(16).add(CODES).search(QUERIES, k))


def test_k_beyond_all_shards(codes, tmp_path):
    paths = index_shards(hamming_16, codes[:2], tmp_path)
    found = search_shards(paths, QUERIES, 1500)
    assert same(found, HammingIndex(16).add(CODES[:1400]).search(QUERIES, 1500))
    assert (found[1][:, 1400:] == -1).all()


def test_two_workers_answer_as_one_process(client, codes, tmp_path):
    pids = client.run(os.getpid)
    assert len(set(pids.values()) - {os.getpid()}) == 2  # real processes, and not this one
    paths = index_shards(hamming_16, codes, tmp_path, client)
    found = search_shards(paths, QUERIES, 50, client)
    assert same(found, HammingIndex(16).add(CODES).search(QUERIES, 50))
    alone = index_shards(hamming_16, codes, tmp_path / "alone")
    assert [p.read_bytes() for p in alone] == [p.read_bytes() for p in paths]


def test_from_features_to_answers(client, tmp_path):
    np.save(tmp_path / "image.npy", VIEWS.image[300:])
    shards = row_shards([tmp_path / "image.npy"], rows=300)
    answers = []
    for place, who in (("alone", None), ("workers", client)):
        encoded = encode_shards(MODEL, "image", shards, tmp_path / place, who)
        paths = index_shards(lambda: CosineIndex(6), encoded, tmp_path / place, who)
        answers.append(search_shards(paths, MODEL.encode_text(VIEWS.text[300:350]), 20, who))
    assert same(*answers)
    whole = CosineIndex(6).add(MODEL.encode_image(VIEWS.image[300:]))
    values, ids = whole.search(MODEL.encode_text(VIEWS.text[300:350]), 20)
    np.testing.assert_array_equal(answers[0][1], ids)
    np.testing.assert_allclose(answers[0][0], values, atol=1e-6)


def test_hash_codes_are_packed_and_faiss_serves(client, tmp_path):
    pytest.importorskip("faiss")

    class Signs(HashModel):
        n_bits = 8

        def _fit(self, X, Y, labels):
            pass

        def _encode_image(self, X):
            return X

        _encode_text = _encode_image

    model = Signs().fit(VIEWS.image, VIEWS.text)
    np.save(tmp_path / "image.npy", VIEWS.image)
    shards = row_shards([tmp_path / "image.npy"], rows=500)
    encoded = encode_shards(model, "image", shards, tmp_path, client)
    truth = np.packbits(VIEWS.image >= 0, axis=1)
    np.testing.assert_array_equal(np.concatenate([shard.rows() for shard in encoded]), truth)
    paths = index_shards(lambda: FaissHamming(8), encoded, tmp_path, client)
    found = search_shards(paths, truth[:5], 9, client)
    assert same(found, HammingIndex(8).add(truth).search(truth[:5], 9))


def test_a_worker_killed_in_the_middle_loses_nothing(client, codes, tmp_path):
    """The first task to reach shard 3 kills its own process; so does one that searches later."""
    marker = str(tmp_path / "killed")

    def deadly():
        import os
        import signal

        class Deadly(HammingIndex):
            def _add(self, rows):
                if len(rows) == 300 and not os.path.exists(marker):
                    open(marker, "x").close()
                    os.kill(os.getpid(), signal.SIGKILL)
                super()._add(rows)

        Deadly.__name__ = "HammingIndex"  # saved as what it answers like
        return Deadly(16)

    before = set(client.run(os.getpid).values())
    paths = index_shards(deadly, codes, tmp_path, client)
    assert os.path.exists(marker)
    truth = HammingIndex(16).add(CODES).search(QUERIES, 50)
    assert same(search_shards(paths, QUERIES, 50, client), truth)

    client.wait_for_workers(2, timeout=20)
    after = client.run(os.getpid).values()
    assert len(before & set(after)) == 1  # one was killed, and another took its place
    os.kill(next(iter(after)), signal.SIGKILL)  # and this one between two searches
    assert same(search_shards(paths, QUERIES, 50, client), truth)


def test_an_address_leads_to_the_same_cluster(client, codes, tmp_path):
    paths = index_shards(hamming_16, codes[:2], tmp_path)
    with connect(client.scheduler.address) as other:
        found = search_shards(paths, QUERIES, 5, other)
    assert same(found, search_shards(paths, QUERIES, 5))
    assert client.scheduler_info()["workers"]  # the cluster outlives one that only visited


def test_a_large_model_travels_without_a_warning(client, tmp_path):
    model = CCA(n_components=6).fit(VIEWS.image[:300], VIEWS.text[:300])
    model.ballast = np.zeros(1_500_000)  # 12 MB; Dask warns from 10 on
    np.save(tmp_path / "image.npy", VIEWS.image[:10])
    shards = row_shards([tmp_path / "image.npy"], rows=10)
    (encoded,) = encode_shards(model, "image", shards, tmp_path / "out", client)
    np.testing.assert_allclose(encoded.rows(), model.encode_image(VIEWS.image[:10]), rtol=1e-6)


def test_errors_of_a_worker_arrive(client, codes, tmp_path):
    with pytest.raises(ValueError, match="must have shape"):
        index_shards(lambda: HammingIndex(64), codes, tmp_path, client)
    with pytest.raises(ModuleNotFoundError, match="tests"):
        index_shards(hamming_here, codes, tmp_path, client)
    paths = index_shards(hamming_16, codes, tmp_path)
    with pytest.raises(TypeError, match="packed into bytes"):
        search_shards(paths, QUERIES.astype(int), 5, client)


def test_what_cannot_be_cut_or_searched_is_refused(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "two.npy", np.zeros((3, 2)))
    np.save(tmp_path / "three.npy", np.zeros((3, 3)))
    np.save(tmp_path / "none.npy", np.zeros((0, 3)))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "three.npy").read_bytes()[:-8])
    for name in ("flat", "none"):
        with pytest.raises(ValueError, match="must hold rows"):
            row_shards([tmp_path / f"{name}.npy"], 2)
    for name in ("text", "cut"):
        with pytest.raises(ValueError, match=f"{name}.npy is not a complete .npy file"):
            row_shards([tmp_path / f"{name}.npy"], 2)
    with pytest.raises(ValueError, match=r"one width, got \[2, 3\]"):
        row_shards([tmp_path / "two.npy", tmp_path / "three.npy"], 2)
    with pytest.raises(ValueError, match="rows must be a whole number"):
        row_shards([tmp_path / "two.npy"], 0)
    HammingIndex(24).save(tmp_path / "a.index")
    CosineIndex(3).save(tmp_path / "b.index")
    for paths in ([], [tmp_path / "a.index", tmp_path / "b.index"]):
        with pytest.raises(ValueError, match="indexes of one kind"):
            search_shards(paths, QUERIES, 1)


def test_an_interrupted_encoding_leaves_no_half_file(tmp_path):
    class Interrupted(CCA):
        def _encode_image(self, X):
            if X[0, 0] == VIEWS.image[8192 % 1300, 0]:
                raise KeyboardInterrupt
            return super()._encode_image(X)

    model = Interrupted(n_components=6).fit(VIEWS.image, VIEWS.text)
    np.save(tmp_path / "image.npy", np.tile(VIEWS.image, (7, 1)))  # more than one part
    shards = row_shards([tmp_path / "image.npy"], rows=10_000)
    with pytest.raises(KeyboardInterrupt):
        encode_shards(model, "image", shards, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_missing_dask_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without_dask(name, *args, **kwargs):
        if name == "distributed":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_dask)
    with pytest.raises(ImportError, match=r"pip install 'cmrlib\[scale\]'"), connect():
        pass
