"""PASCAL VOC 2007: objects of the annotation become labels, lists become the split."""

import numpy as np
import pytest
from PIL import Image

from cmrlib.datasets import fetch_pascal_voc

TRAINVAL, TEST = ["000005", "000007"], ["000001", "000002", "000004"]
OBJECTS = {  # class, difficult
    "000005": [("chair", 0), ("chair", 1)],
    "000007": [("car", 0)],
    "000001": [("dog", 0), ("person", 0)],
    "000002": [("train", 1)],
    "000004": [("tvmonitor", 0), ("aeroplane", 1)],
}


def annotation(objects):
    parts = "".join(
        f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Left</pose>\n\t\t<difficult>{difficult}"
        "</difficult>\n\t\t<part><name>head</name></part>\n\t</object>\n"
        for name, difficult in objects
    )
    return f"<annotation>\n\t<folder>VOC2007</folder>\n{parts}</annotation>\n"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pascal_voc/VOCdevkit/VOC2007"
    for part in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (root / part).mkdir(parents=True)
    for name, numbers in (("trainval", TRAINVAL), ("test", TEST)):
        lines = "".join(f"{number}\n" for number in numbers)
        (root / f"ImageSets/Main/{name}.txt").write_text(lines)
    for number, objects in OBJECTS.items():
        (root / f"Annotations/{number}.xml").write_text(annotation(objects))
        Image.new("RGB", (int(number), 1)).save(root / f"JPEGImages/{number}.jpg")
    return tmp_path


def classes(data):
    return [[data.class_names[c] for c in np.flatnonzero(row)] for row in data.labels]


# Values --------------------------------------------------------------------------------------


def test_order_labels_and_split(folder):
    data = fetch_pascal_voc(folder)
    assert len(data.class_names) == 20 and sorted(data.class_names) == list(data.class_names)
    assert classes(data) == [["chair"], ["car"], ["dog", "person"], [], ["tvmonitor"]]
    assert data.test.tolist() == [False, False, True, True, True]
    train, test = data.split()
    assert (train.items.tolist(), test.items.tolist()) == ([0, 1], [2, 3, 4])
    assert data.labels.dtype == "u1"
    assert (data.image.shape, data.text.shape, data.captions) == ((5, 0), (5, 0), ())


def test_difficult_objects(folder):
    data = fetch_pascal_voc(folder, difficult=True)
    assert classes(data)[3:] == [["train"], ["aeroplane", "tvmonitor"]]


def test_one_object(folder):
    """The chair picture has two objects of one class; the difficult train counts as one."""
    data = fetch_pascal_voc(folder, keep="one object")
    assert data.items.tolist() == [1, 3]
    assert classes(data) == [["car"], []]
    assert data.test.tolist() == [False, True]
    assert data.picture(1).size == (2, 1)


def test_parts_have_no_say(folder):
    """A part, such as a head, has a name too, and is no object."""
    assert "head" in annotation([("dog", 0)])
    assert classes(fetch_pascal_voc(folder))[2] == ["dog", "person"]


def test_unpacked_without_its_outer_folder(folder):
    root = folder / "pascal_voc"
    (root / "VOCdevkit/VOC2007").rename(root / "VOC2007")
    assert len(fetch_pascal_voc(folder)) == 5


def test_tags(folder, tmp_path):
    tags = tmp_path / "tags.txt"
    tags.write_text("000007 car road\n000001 dog road\n000005\n000004 road car screen\n")
    data = fetch_pascal_voc(folder, tags=tags, n_words=2)
    np.testing.assert_array_equal(data.text, [[0, 0], [1, 1], [1, 0], [0, 0], [1, 1]])
    assert data.captions == ("", "car road", "dog road", "", "road car screen")
    one = fetch_pascal_voc(folder, tags=tags, n_words=2, keep="one object")
    np.testing.assert_array_equal(one.text, [[1, 1], [0, 0]])
    assert one.captions == ("car road", "")


def test_features(folder):
    def widths(pictures):
        return np.array([[picture.size[0]] for picture in pictures])

    np.testing.assert_array_equal(
        fetch_pascal_voc(folder, image_features=widths).image, [[5], [7], [1], [2], [4]]
    )
    mine = np.arange(5)[:, None]
    data = fetch_pascal_voc(folder, keep="one object", image_features=mine, text_features=mine * 10)
    np.testing.assert_array_equal(data.image, [[1], [3]])
    np.testing.assert_array_equal(data.text, [[10], [30]])


# Damage --------------------------------------------------------------------------------------


def test_nothing_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="VOC2007; to have PASCAL VOC 2007, unpack VOCtrain"
    ):
        fetch_pascal_voc(tmp_path)


def test_test_archive_not_unpacked(folder):
    (folder / "pascal_voc/VOCdevkit/VOC2007/ImageSets/Main/test.txt").unlink()
    with pytest.raises(FileNotFoundError, match="Main/test.txt; to have PASCAL VOC 2007, unpack"):
        fetch_pascal_voc(folder)


def test_annotation_not_unpacked(folder):
    (folder / "pascal_voc/VOCdevkit/VOC2007/Annotations/000004.xml").unlink()
    with pytest.raises(FileNotFoundError, match="there is no .*000004.xml; unpack both"):
        fetch_pascal_voc(folder)


BOMB = '<!DOCTYPE a [<!ENTITY b "&#60;!">]>' + annotation([("dog", 0)])
GOOD = annotation([("dog", 0)])
BROKEN = [
    ("ImageSets/Main/test.txt", "000001\n../../etc\n", "test.txt, line 2: '../../etc' is no pict"),
    ("ImageSets/Main/test.txt", "000001 1\n", "test.txt, line 1: '000001 1' is no picture number"),
    ("ImageSets/Main/test.txt", "", "test.txt is empty"),
    ("ImageSets/Main/test.txt", "000005\n", "a picture is listed twice"),
    ("Annotations/000004.xml", GOOD[:60], "000004.xml, line [0-9]: no XML, or truncated"),
    ("Annotations/000004.xml", "", "000004.xml, line 1: no XML, or truncated"),
    ("Annotations/000004.xml", BOMB, "000004.xml is no annotation: it has a document type"),
    ("Annotations/000004.xml", "<html></html>", "000004.xml is no annotation of objects"),
    ("Annotations/000004.xml", annotation([]), "000004.xml is no annotation of objects"),
    ("Annotations/000004.xml", annotation([("unicorn", 0)]), "'unicorn' is none of the 20 class"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_broken_file(folder, name, content, message):
    (folder / "pascal_voc/VOCdevkit/VOC2007" / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        fetch_pascal_voc(folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("000007 car\n000009 dog\n", "tags.txt, line 2: '000009' is no picture of the data set"),
        ("000007 car\n\n000001 dog\n", "tags.txt, line 2: '' is no picture"),
        ("000007 car\n000007 dog\n", "tags.txt, line 2: 000007 has tags already"),
    ],
)
def test_broken_tags(folder, tmp_path, lines, message):
    (tmp_path / "tags.txt").write_text(lines)
    with pytest.raises(ValueError, match=message):
        fetch_pascal_voc(folder, tags=tmp_path / "tags.txt")


def test_wrong_argument(folder):
    with pytest.raises(ValueError, match="keep must be 'all' or 'one object', got 'single'"):
        fetch_pascal_voc(folder, keep="single")
