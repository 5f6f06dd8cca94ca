"""XMedia: the matrices of the distributed MATLAB file, read and checked."""

import numpy as np
import pytest
from scipy.io import savemat

from cmrlib.datasets import fetch_xmedia

TRAIN, TEST = np.array([20, 1, 2]), np.array([2, 20])
CONTENT = {
    "I_tr_CNN": np.arange(12.0).reshape(3, 4),
    "I_te_CNN": np.arange(20.0, 28).reshape(2, 4),
    "T_tr_BOW": np.arange(6).reshape(3, 2),
    "T_te_BOW": np.arange(10, 14).reshape(2, 2),
    "trImgCat": TRAIN[:, None],
    "trTxtCat": TRAIN[None, :],
    "teImgCat": TEST[:, None].astype(float),
    "teTxtCat": TEST[:, None],
    "A_tr": np.ones((7, 3)),  # audio, which is left aside
    "I_tr": np.ones((3, 9)),
}


@pytest.fixture
def write(tmp_path):
    """Write the file with some matrices changed, None for leaving one out."""
    (tmp_path / "xmedia").mkdir()

    def write(**changes):
        content = {k: v for k, v in (CONTENT | changes).items() if v is not None}
        savemat(tmp_path / "xmedia/XMediaFeatures.mat", content, do_compression=True)
        return tmp_path

    return write


def test_values_order_and_split(write):
    data = fetch_xmedia(write())
    np.testing.assert_array_equal(data.image[:, 0], [0, 4, 8, 20, 24])
    np.testing.assert_array_equal(data.text, [[0, 1], [2, 3], [4, 5], [10, 11], [12, 13]])
    assert data.labels.tolist() == [19, 0, 1, 1, 19]
    assert data.test.tolist() == [False, False, False, True, True]
    assert data.class_names == tuple(f"class {number}" for number in range(1, 21))
    assert (data.image.dtype, data.text.dtype, data.labels.dtype) == ("f4", "f4", "i8")
    train, test = data.split()
    assert (len(train), len(test)) == (3, 2)


def test_nothing_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no .*xmedia/XMediaFeatures.mat; to have XMedia, ask the Multimed"
    ):
        fetch_xmedia(tmp_path)


BROKEN = [
    ({"T_te_BOW": None}, "XMediaFeatures.mat has no matrix T_te_BOW: it is another file"),
    ({"trImgCat": TRAIN[:2, None]}, "trImgCat and trTxtCat differ"),
    ({"teTxtCat": TEST[::-1, None]}, "teImgCat and teTxtCat differ"),
    ({"I_te_CNN": np.ones((3, 4))}, "I_te_CNN has 3 rows, teImgCat 2"),
    ({"T_te_BOW": np.ones((2, 5))}, "texts of training and test set differ in width"),
    ({"I_tr_CNN": np.full((3, 4), np.nan)}, "I_tr_CNN is not 2-d, or holds NaN or infinity"),
    ({"I_tr_CNN": np.ones((3, 2, 2))}, "I_tr_CNN is not 2-d"),
    ({"I_tr_CNN": "a text"}, "I_tr_CNN is no matrix of numbers"),
    ({"I_tr_CNN": {"a": 1}}, "I_tr_CNN is no matrix of numbers"),
    *(
        ({"trImgCat": wrong, "trTxtCat": wrong}, "trImgCat holds numbers that are no class from 1")
        for wrong in (np.array([[0, 1, 2]]), np.array([[1, 2, 21]]), np.array([[1, 2, 2.5]]))
    ),
]


@pytest.mark.parametrize(("changes", "message"), BROKEN)
def test_broken_matrix(write, changes, message):
    with pytest.raises(ValueError, match=message):
        fetch_xmedia(write(**changes))


@pytest.mark.parametrize("keep", [0, 10, 126, 200, 300, -700])
def test_truncated_file(write, keep):
    path = write() / "xmedia/XMediaFeatures.mat"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="XMediaFeatures.mat (is no MATLAB file|has no matrix)"):
        fetch_xmedia(path.parent.parent)


@pytest.mark.parametrize("content", [b"<html>not found</html>" * 20, b"\x89HDF\r\n\x1a\n" * 30])
def test_foreign_file(write, content):
    path = write() / "xmedia/XMediaFeatures.mat"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match="XMediaFeatures.mat is no MATLAB file .version 7 or older"
    ):
        fetch_xmedia(path.parent.parent)
