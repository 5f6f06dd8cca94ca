"""Each drawing function returns the Axes it was given, and draws what it says."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from cmrlib.datasets import PairedDataset
from cmrlib.plotting import (
    RIGHT,
    WRONG,
    precision_recall_curve,
    retrieval_gallery,
    set_style,
    similarity_map,
)


class Blank:
    def __getitem__(self, index):
        return Image.new("RGB", (8, 8), (index * 40, 0, 0))


@pytest.fixture(autouse=True)
def close_figures():
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def data():
    return PairedDataset(
        name="toy",
        image=np.eye(4),
        text=np.eye(4),
        labels=np.array([0, 0, 1, 1]),
        class_names=("a", "b"),
        captions=("one", "two", "three", "four"),
        pictures=Blank(),
    )


def test_gallery_marks_right_wrong_and_partner(data):
    S = np.array([[4, 3, 2, 1]] * 4, dtype=float)
    ax = retrieval_gallery(data, S, [1], n_results=3)
    cells = ax.child_axes
    marks = [text.get_text() for cell in cells for text in cell.texts]
    assert marks == ["one", "✓", "two", "✓★", "three", "✗"]
    colours = [matplotlib.colors.to_hex(c.spines["top"].get_edgecolor()) for c in cells[1:]]
    assert colours == [RIGHT, RIGHT, WRONG]


def test_gallery_of_text_queries_ranks_columns(data):
    S = np.zeros((4, 4))
    S[:, 2] = [1, 2, 3, 4]  # text 2 prefers picture 3, then 2
    ax = retrieval_gallery(data, S, [2], direction="text->image", n_results=2)
    reds = [cell.images[0].get_array()[0, 0, 0] for cell in ax.child_axes if cell.images]
    assert reds == [120, 80]


def test_gallery_draws_where_it_is_told(data):
    ax = plt.subplots()[1]
    assert retrieval_gallery(data, np.eye(4), [0], ax=ax) is ax


def test_gallery_refuses_what_it_cannot_draw(data):
    with pytest.raises(ValueError, match="direction must be"):
        retrieval_gallery(data, np.eye(4), [0], direction="image")
    with pytest.raises(ValueError, match=r"similarity must be \(4, 4\)"):
        retrieval_gallery(data, np.eye(3), [0])
    unlabelled = PairedDataset(name="toy", image=np.eye(4), text=np.eye(4))
    with pytest.raises(ValueError, match="needs labels"):
        retrieval_gallery(unlabelled, np.eye(4), [0])


def test_precision_recall_curve_has_a_point_per_rank():
    relevance = np.array([[True, False, True]])
    ax = plt.subplots()[1]
    assert precision_recall_curve([[3.0, 2.0, 1.0]], relevance, label="toy", ax=ax) is ax
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xdata(), [1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(line.get_ydata(), [1, 1 / 2, 2 / 3])
    assert line.get_label() == "toy"


def test_similarity_map_sorts_by_class():
    S = np.arange(16.0).reshape(4, 4)
    ax = plt.subplots()[1]
    labels = np.array([1, 0, 1, 0])
    assert similarity_map(S, labels, class_names=("a", "b"), ax=ax) is ax
    order = [1, 3, 0, 2]
    np.testing.assert_array_equal(ax.images[0].get_array(), S[np.ix_(order, order)])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_style_keeps_figures_readable_on_a_dark_page():
    set_style()
    assert plt.rcParams["savefig.facecolor"] == "white"
