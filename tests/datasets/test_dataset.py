"""PairedDataset: parts of a data set keep pictures, captions, labels and features together."""

import numpy as np
import pytest
from PIL import Image

from cmrlib.datasets import PairedDataset


class Numbered:
    """The picture of item i is i pixels wide."""

    def __getitem__(self, index):
        return Image.new("RGB", (index + 1, 1))


def make(n=40, **fields):
    """Item i has i in every place, so that a mixed-up row shows."""
    number = np.arange(n)
    defaults = {
        "name": "sample",
        "image": number[:, None] + [0.0, 0.25, 0.5],
        "text": number[:, None] + [0.0, 0.125],
        "labels": number % 4,
        "class_names": ("a", "b", "c", "d"),
        "captions": tuple(f"item {i}" for i in number),
        "pictures": Numbered(),
    }
    return PairedDataset(**(defaults | fields))


def assert_consistent(data, items):
    """Check that the rows of `data` are these items of ``make()``, in this order."""
    items = np.asarray(items)
    assert len(data) == len(items)
    np.testing.assert_array_equal(data.items, items)
    np.testing.assert_array_equal(data.image[:, 0], items)
    np.testing.assert_array_equal(data.text[:, 0], items)
    np.testing.assert_array_equal(data.labels, items % 4)
    assert data.captions == tuple(f"item {i}" for i in items)
    assert [data.picture(row).width - 1 for row in range(len(data))] == items.tolist()
    assert data.class_names == ("a", "b", "c", "d")


def test_whole():
    assert_consistent(make(), np.arange(40))
    assert repr(make()) == "PairedDataset('sample', 40 pairs, image 3-d, text 2-d, 4 classes)"
    plain = PairedDataset("plain", np.zeros((2, 3)), np.zeros((2, 1)))
    assert repr(plain) == "PairedDataset('plain', 2 pairs, image 3-d, text 1-d)"


def test_take_keeps_the_order_asked_for():
    assert_consistent(make().take([7, 3, 39, 3]), [7, 3, 39, 3])
    assert_consistent(make().take(np.array([], dtype=int)), [])


def test_take_by_mask():
    data = make()
    assert_consistent(data.take(data.labels == 2), np.arange(2, 40, 4))


def test_part_of_a_part_counts_its_own_rows():
    part = make().take([30, 20, 10])
    assert_consistent(part.take([2, 0]), [10, 30])


def test_take_leaves_the_data_set_alone():
    data = make()
    part = data.take([1, 2])
    part.image[:] = -1
    assert_consistent(data, np.arange(40))


def test_row_that_does_not_exist():
    with pytest.raises(IndexError):
        make().take([40])


@pytest.mark.parametrize("test_size, n_test", [(0.25, 10), (8, 8)])
def test_split_parts_the_items(test_size, n_test):
    train, test = make().split(test_size=test_size, random_state=0)
    assert len(test) == n_test
    np.testing.assert_array_equal(np.sort(np.r_[train.items, test.items]), np.arange(40))
    assert_consistent(train, np.sort(train.items))
    assert_consistent(test, np.sort(test.items))


def test_split_is_stratified():
    labels = np.repeat([0, 1, 2], [80, 16, 4])
    data = make(100, labels=labels)
    for seed in range(5):
        train, test = data.split(test_size=0.25, random_state=seed)
        assert np.bincount(train.labels).tolist() == [60, 12, 3]
        assert np.bincount(test.labels).tolist() == [20, 4, 1]


def test_split_follows_the_seed():
    a, b = (make().split(test_size=10, random_state=3)[1].items for _ in range(2))
    c = make().split(test_size=10, random_state=4)[1].items
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


@pytest.mark.parametrize("labels", [None, np.eye(4, dtype=int)[np.arange(40) % 4]])
def test_split_without_one_class_each(labels):
    train, test = make(labels=labels).split(test_size=10, random_state=0)
    assert (len(train), len(test)) == (30, 10)
    if labels is not None:
        np.testing.assert_array_equal(test.labels, labels[test.items])
    else:
        assert test.labels is None


def test_official_split():
    rows = np.isin(np.arange(40), [5, 6, 30])
    train, test = make(test=rows).split()
    assert_consistent(test, [5, 6, 30])
    assert_consistent(train, np.setdiff1d(np.arange(40), [5, 6, 30]))


def test_no_official_split():
    with pytest.raises(ValueError, match=r"'sample' has no official split; call split\(test_size"):
        make().split()


@pytest.mark.parametrize(
    "field, value",
    [
        ("text", np.zeros((39, 2))),
        ("labels", np.zeros(41, dtype=int)),
        ("captions", ("only one",)),
        ("items", np.arange(3)),
        ("test", np.zeros(2, dtype=bool)),
    ],
)
def test_unequal_lengths_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} has {len(value)} rows, image has 40"):
        make(**{field: value})


def test_no_pictures():
    with pytest.raises(ValueError, match="'sample' has features but no pictures"):
        make(pictures=None).picture(0)


def test_captions_and_labels_are_optional():
    part = PairedDataset("plain", np.zeros((4, 3)), np.zeros((4, 1))).take([1, 3])
    assert part.labels is None
    assert part.captions == ()
    np.testing.assert_array_equal(part.items, [1, 3])
