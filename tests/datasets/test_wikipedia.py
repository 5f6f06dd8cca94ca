"""The Wikipedia benchmark: as published if it is there, one clear sentence if it is not."""

import hashlib
import http.server
import os
import shutil
import threading

import numpy as np
import pooch
import pytest

from cmrlib.datasets import fetch_wikipedia
from cmrlib.datasets import wikipedia as module
from cmrlib.datasets._download import data_home, require_file

FILES = list(module._SHA256)
PUBLISHED = data_home() / "wikipedia"
has_data = pytest.mark.skipif(
    not all((PUBLISHED / name).is_file() for name in FILES),
    reason="set CMRLIB_DATA to a folder that holds wikipedia/raw_features.mat and its lists",
)


@pytest.fixture(scope="module")
def wikipedia():
    return fetch_wikipedia()


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", refuse)


@pytest.fixture
def copy(tmp_path):
    """A folder that holds the four files."""
    shutil.copytree(PUBLISHED, tmp_path / "wikipedia")
    return tmp_path


# The data ------------------------------------------------------------------------------------


@has_data
def test_shapes_and_official_split(wikipedia):
    assert wikipedia.image.shape == (2866, 128)
    assert wikipedia.text.shape == (2866, 10)
    train, test = wikipedia.split()
    assert (len(train), len(test)) == (2173, 693)
    np.testing.assert_array_equal(np.r_[train.items, test.items], np.arange(2866))


@has_data
def test_rows_are_histograms_and_ranks_follow(wikipedia):
    for X, rank in ((wikipedia.image, 127), (wikipedia.text, 9)):
        np.testing.assert_allclose(X.sum(axis=1), 1, atol=1e-6)
        assert X.min() >= 0
        X = X[~wikipedia.test]
        spectrum = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
        assert np.sum(spectrum > 1e-6 * spectrum[0]) == rank


@has_data
def test_class_counts(wikipedia):
    train, test = wikipedia.split()
    assert wikipedia.class_names[0] == "art" and len(wikipedia.class_names) == 10
    counts = [138, 272, 244, 248, 202, 178, 186, 144, 214, 347]  # as in the paper's table
    assert np.bincount(train.labels).tolist() == counts
    assert np.bincount(test.labels).tolist() == [34, 88, 96, 85, 65, 58, 51, 41, 71, 104]


@has_data
def test_labels_belong_to_the_texts(wikipedia):
    """The class is plain from the ten topics: shifted labels would not be found."""
    train, test = wikipedia.split()
    centres = np.stack([train.text[train.labels == c].mean(axis=0) for c in range(10)])

    def accuracy(labels):
        distance = np.linalg.norm(test.text[:, None] - centres, axis=2)
        return np.mean(distance.argmin(axis=1) == labels)

    assert accuracy(test.labels) > 0.5
    assert accuracy(np.roll(test.labels, 1)) < 0.2


@has_data
def test_folder_can_be_named(copy, no_network):
    np.testing.assert_array_equal(fetch_wikipedia(copy).text, fetch_wikipedia(str(copy)).text)


@has_data
def test_environment_names_the_folder(copy, no_network, monkeypatch):
    monkeypatch.setenv("CMRLIB_DATA", str(copy))
    assert len(fetch_wikipedia()) == 2866


# Damage --------------------------------------------------------------------------------------


@has_data
@pytest.mark.parametrize("name", FILES)
def test_truncated_file(copy, no_network, name):
    path = copy / "wikipedia" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{path} is damaged or another file .* delete it and"):
        fetch_wikipedia(copy)


@has_data
def test_one_changed_byte(copy, no_network):
    path = copy / "wikipedia" / "raw_features.mat"
    content = bytearray(path.read_bytes())
    content[500_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or another file"):
        fetch_wikipedia(copy)


@has_data
@pytest.mark.parametrize("name", FILES)
def test_missing_file_without_network(copy, no_network, name):
    (copy / "wikipedia" / name).unlink()
    before = sorted(copy.rglob("*"))
    with pytest.raises(OSError, match=rf"cannot download https://.*{name} \(no route to host\)"):
        fetch_wikipedia(copy)
    assert sorted(copy.rglob("*")) == before


def test_nothing_there_and_no_network(tmp_path, no_network):
    with pytest.raises(OSError, match=f"fetch raw_features.mat yourself and put it in {tmp_path}"):
        fetch_wikipedia(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_content_under_the_name(tmp_path, no_network):
    (tmp_path / "wikipedia").mkdir()
    (tmp_path / "wikipedia" / "raw_features.mat").write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="raw_features.mat is damaged or another file"):
        fetch_wikipedia(tmp_path)


def test_file_in_place_of_the_folder(tmp_path, no_network):
    (tmp_path / "wikipedia").write_text("a file")
    with pytest.raises(OSError, match="cannot read .*raw_features.mat: Not a directory"):
        fetch_wikipedia(tmp_path)


def test_folder_in_place_of_the_file(tmp_path, no_network):
    (tmp_path / "wikipedia" / "raw_features.mat").mkdir(parents=True)
    with pytest.raises(OSError, match="cannot read .*raw_features.mat: Is a directory"):
        fetch_wikipedia(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="permissions are set as on POSIX systems")
def test_unreadable_folder(tmp_path, no_network):
    folder = tmp_path / "wikipedia"
    folder.mkdir()
    folder.chmod(0)
    root = os.geteuid() == 0  # who may read everything, so try as somebody else
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(OSError, match="cannot read .*raw_features.mat: Permission denied"):
            fetch_wikipedia(tmp_path)
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


# Downloads, from a server of our own ---------------------------------------------------------

CONTENT = b"the published file" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        sent = {"/whole": CONTENT, "/changed": CONTENT[::-1], "/broken": CONTENT[:9000]}
        self.wfile.write(sent[self.path])

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_download_is_verified_and_kept(tmp_path, server, monkeypatch):
    folder = tmp_path / "new" / "folder"
    path = require_file(folder, "file", SHA256, f"{server}/whole")
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]

    def refuse(*args, **kwargs):
        raise AssertionError("a file that is there is not fetched again")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    assert require_file(folder, "file", SHA256, f"{server}/whole") == path


def test_changed_download_leaves_nothing(tmp_path, server):
    with pytest.raises(ValueError, match="/changed has changed: its sha256 is not"):
        require_file(tmp_path, "file", SHA256, f"{server}/changed")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", ["broken", "missing"])
def test_failed_download_leaves_nothing(tmp_path, server, page):
    with pytest.raises(OSError, match=f"cannot download {server}/{page} .*fetch file yourself"):
        require_file(tmp_path, "file", SHA256, f"{server}/{page}")
    assert list(tmp_path.iterdir()) == []


def test_no_address_to_fetch_from(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no file {tmp_path}"):
        require_file(tmp_path, "file", SHA256, None)


def test_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("CMRLIB_DATA", str(tmp_path))
    assert data_home() == tmp_path
    monkeypatch.setenv("CMRLIB_DATA", "~/data")
    assert data_home().is_absolute()
    monkeypatch.delenv("CMRLIB_DATA")
    assert data_home().name == "cmrlib"
