"""MIRFlickr-25k: tags, topics and pictures of one number belong together."""

import numpy as np
import pytest
from PIL import Image

from cmrlib.datasets import fetch_mirflickr

TAGS = [["sky", "blue"], ["cat", "blue"], [], ["blue", "rare"], ["cat", "sky", "blue"]]
TOPICS = {"sky": [1, 5], "animals": [2, 5], "sky_r1": [5], "dog_r1": [2], "night": [3]}


@pytest.fixture
def folder(tmp_path):
    """A distribution of five pictures; picture i is i pixels wide."""
    root = tmp_path / "mirflickr"
    (root / "meta" / "tags").mkdir(parents=True)
    (root / "annotations").mkdir()
    for number, tags in enumerate(TAGS, start=1):
        (root / f"meta/tags/tags{number}.txt").write_text("".join(f"{tag}\r\n" for tag in tags))
        Image.new("RGB", (number, 1)).save(root / f"im{number}.jpg")
    for topic, numbers in TOPICS.items():
        lines = "".join(f"{number}\n" for number in numbers)
        (root / f"annotations/{topic}.txt").write_text(lines)
    (root / "annotations/README.txt").write_text("Annotations of ...")
    return tmp_path


def widths(pictures):
    return np.array([[picture.size[0]] for picture in pictures])


# Values --------------------------------------------------------------------------------------


def test_all_pictures(folder):
    data = fetch_mirflickr(folder, keep="all")
    assert data.class_names == ("animals", "night", "sky")
    np.testing.assert_array_equal(
        data.labels, [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]]
    )
    # blue is on four pictures; cat and sky on two each, in alphabetical order; rare on one
    np.testing.assert_array_equal(
        data.text, [[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 0]]
    )
    assert data.captions == ("sky blue", "cat blue", "", "blue rare", "cat sky blue")
    assert data.image.shape == (5, 0)
    assert data.test is None
    assert (data.text.dtype, data.labels.dtype) == ("u1", "u1")


@pytest.mark.parametrize(
    ("keep", "items"), [("complete", [0, 1, 4]), ("labelled", [0, 1, 2, 4]), ("all", range(5))]
)
def test_what_is_kept(folder, keep, items):
    data, everything = fetch_mirflickr(folder, keep=keep), fetch_mirflickr(folder, keep="all")
    items = list(items)
    assert data.items.tolist() == items
    np.testing.assert_array_equal(data.labels, everything.labels[items])
    np.testing.assert_array_equal(data.text, everything.text[items])
    assert data.captions == tuple(everything.captions[i] for i in items)


@pytest.mark.parametrize(
    ("annotations", "names", "fifth"),
    [
        ("potential", ("animals", "night", "sky"), [1, 0, 1]),
        ("relevant", ("dog_r1", "sky_r1"), [0, 1]),
        ("both", ("animals", "dog_r1", "night", "sky", "sky_r1"), [1, 0, 0, 1, 1]),
    ],
)
def test_kinds_of_topics(folder, annotations, names, fifth):
    data = fetch_mirflickr(folder, keep="all", annotations=annotations)
    assert data.class_names == names
    assert data.labels[4].tolist() == fifth


def test_small_vocabulary_leaves_pictures_without_text(folder):
    data = fetch_mirflickr(folder, n_words=1, keep="all")
    np.testing.assert_array_equal(data.text, [[1], [1], [0], [1], [1]])


def test_a_tag_counts_once_a_picture(folder):
    (folder / "mirflickr/meta/tags/tags4.txt").write_text("rare\n" * 9)
    data = fetch_mirflickr(folder, n_words=1, keep="all")
    np.testing.assert_array_equal(data.text, [[1], [1], [0], [0], [1]])  # blue


def test_numbers_are_sorted_as_numbers(folder):
    """tags10 comes after tags9, not after tags1."""
    root = folder / "mirflickr"
    for number in range(6, 12):
        (root / f"meta/tags/tags{number}.txt").write_text(f"tag{number}\n")
    captions = fetch_mirflickr(folder, keep="all").captions
    assert captions[5:] == tuple(f"tag{number}" for number in range(6, 12))


def test_annotations_in_the_folder_of_the_archive(folder):
    root = folder / "mirflickr"
    (root / "annotations").rename(root / "mirflickr25k_annotations_v080")
    assert fetch_mirflickr(folder).class_names == ("animals", "night", "sky")


# Features ------------------------------------------------------------------------------------


def test_function_gets_the_kept_pictures(folder):
    data = fetch_mirflickr(folder, image_features=widths)
    np.testing.assert_array_equal(data.image, [[1], [2], [5]])
    assert data.picture(2).size == (5, 1)


def test_pictures_open_one_by_one(folder):
    """A function may read the first picture though the last is not there."""
    (folder / "mirflickr/im5.jpg").unlink()
    seen = []

    def first_two(pictures):
        seen.append((len(pictures), pictures[0].size, len(pictures[1:])))
        return np.ones((len(pictures), 1))

    fetch_mirflickr(folder, image_features=first_two)
    assert seen == [(3, (1, 1), 2)]
    with pytest.raises(FileNotFoundError, match="there is no picture .*im5.jpg; unpack the pict"):
        fetch_mirflickr(folder, image_features=widths)


def test_array_has_a_row_for_every_picture(folder):
    mine = np.arange(5)[:, None]
    np.testing.assert_array_equal(
        fetch_mirflickr(folder, image_features=mine).image, [[0], [1], [4]]
    )
    with pytest.raises(ValueError, match="image_features has 3 rows; it needs one for each of 5"):
        fetch_mirflickr(folder, image_features=mine[:3])


def test_text_features_of_the_captions(folder):
    def lengths(captions):
        return np.array([[len(caption)] for caption in captions])

    np.testing.assert_array_equal(
        fetch_mirflickr(folder, text_features=lengths).text, [[8], [8], [12]]
    )


# Damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["meta/tags", "annotations"])
def test_missing_part(folder, name):
    (folder / "mirflickr" / name).rename(folder / "elsewhere")
    with pytest.raises(
        FileNotFoundError, match=f"there is no .*{name}; to have MIRFlickr-25k, unp"
    ):
        fetch_mirflickr(folder)


@pytest.mark.parametrize("line", ["0", "6", "-1", "1.0", "im1.jpg", "", "٣"])
def test_line_that_is_no_picture(folder, line):
    (folder / "mirflickr/annotations/sky.txt").write_text(f"1\n{line}\n5\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"sky.txt, line 2: '{line}' is no picture from 1 to 5"):
        fetch_mirflickr(folder)


def test_hole_in_the_tags(folder):
    (folder / "mirflickr/meta/tags/tags2.txt").unlink()
    with pytest.raises(ValueError, match="tags has 4 tag files, but not tags2.txt"):
        fetch_mirflickr(folder)


def test_truncated_tags(folder):
    """Topics name pictures that the tags do not reach."""
    (folder / "mirflickr/meta/tags/tags5.txt").unlink()
    with pytest.raises(ValueError, match="animals.txt, line 2: '5' is no picture from 1 to 4"):
        fetch_mirflickr(folder)


def test_empty_folders(folder):
    for path in (folder / "mirflickr/annotations").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="annotations has no files of potential topics"):
        fetch_mirflickr(folder)
    for path in (folder / "mirflickr/meta/tags").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="tags has no files tags1.txt, tags2.txt"):
        fetch_mirflickr(folder)


def test_foreign_annotation_file(folder):
    (folder / "mirflickr/annotations/sky.txt").write_bytes(b"1\n\xff\xfe\n")
    with pytest.raises(ValueError, match="sky.txt is no UTF-8 text file: byte 2 is invalid"):
        fetch_mirflickr(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"annotations": "all"}, "annotations must be one of potential, relevant, both; got 'all'"),
        ({"keep": "none"}, "keep must be one of all, labelled, complete; got 'none'"),
        ({"n_words": 0}, "n_words must be at least 1, got 0"),
    ],
)
def test_wrong_argument(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        fetch_mirflickr(folder, **arguments)
