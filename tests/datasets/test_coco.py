"""MS-COCO: captions, objects and pictures of one number belong together, in every split."""

import json

import numpy as np
import pytest
from PIL import Image

from cmrlib.datasets import fetch_coco
from cmrlib.evaluation import label_relevance

CATEGORIES = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}]
PICTURES = {
    "train2014": {9: ["A man.", "A man\n and a dog."], 57: ["A dog runs."]},
    "val2014": {42: ["The sea.", "Waves."], 73: ["A man, a dog."]},
}
OBJECTS = {"train2014": [(9, 1), (9, 1), (9, 90), (73, 1)], "val2014": [(73, 90)]}


def captions_file(part):
    captions = [
        {"image_id": image, "id": 100 * image + i, "caption": caption}
        for image, captions in PICTURES[part].items()
        for i, caption in enumerate(captions)
    ]
    images = [
        {"license": 1, "file_name": f"COCO_{part}_{image:012}.jpg", "id": image}
        for image in PICTURES[part]
    ]
    captions.sort(key=lambda row: row["id"] % 100)  # captions of a picture are not side by side
    return {"info": {"description": "x"}, "images": images, "annotations": captions}


def instances_file(part):
    objects = [
        {"segmentation": [[1.5, 2]], "iscrowd": 0, "image_id": image, "category_id": c, "id": i}
        for i, (image, c) in enumerate(OBJECTS[part])
        if image in PICTURES[part]
    ]
    objects.append({"segmentation": {"counts": [1, 2], "size": [3, 4]}, "image_id": 5,
                    "category_id": 1, "id": 99})  # fmt: skip
    return {"annotations": objects, "categories": CATEGORIES}


def karpathy_file():
    split = {9: "train", 57: "restval", 42: "val", 73: "test"}
    rows = [
        {
            "filepath": part,
            "filename": f"COCO_{part}_{image:012}.jpg",
            "split": split[image],
            "sentences": [{"tokens": text.split(), "raw": text} for text in captions],
            "cocoid": image,
        }
        for part in ("val2014", "train2014")
        for image, captions in PICTURES[part].items()
    ]
    return {"images": rows, "dataset": "coco"}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    for part in PICTURES:
        for kind, content in (("captions", captions_file), ("instances", instances_file)):
            (root / f"annotations/{kind}_{part}.json").write_text(json.dumps(content(part)))
        (root / part).mkdir()
        for image in PICTURES[part]:
            Image.new("RGB", (image, 1)).save(root / part / f"COCO_{part}_{image:012}.jpg")
    (root / "dataset_coco.json").write_text(json.dumps(karpathy_file()))
    return tmp_path


def widths(pictures):
    return np.array([[picture.size[0]] for picture in pictures])


# Values --------------------------------------------------------------------------------------


def test_first_captions_labels_and_split(folder):
    data = fetch_coco(folder, split="2014")
    assert data.captions == ("A man.", "A dog runs.", "The sea.", "A man, a dog.")
    assert data.class_names == ("person", "toothbrush")  # by number
    np.testing.assert_array_equal(data.labels, [[1, 1], [0, 0], [0, 0], [0, 1]])
    assert data.test.tolist() == [False, False, True, True]
    assert data.items.tolist() == [0, 1, 2, 3]
    assert data.image.shape == (4, 0)
    assert (data.text.dtype, data.labels.dtype) == ("u1", "u1")


def test_words(folder):
    """Captions: a man | a dog runs | the sea | a man a dog. Ties are in alphabetical order."""
    text = fetch_coco(folder, split="2014", n_words=4).text  # a, dog, man, runs
    np.testing.assert_array_equal(text, [[1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]])
    assert fetch_coco(folder, split="2014").text.shape == (4, 6)


def test_joined_captions(folder):
    data = fetch_coco(folder, split="2014", captions="joined")
    assert data.captions == (
        "A man. A man and a dog.", "A dog runs.", "The sea. Waves.", "A man, a dog.",
    )  # fmt: skip
    assert len(data) == 4


def test_each_caption_with_its_picture(folder):
    data = fetch_coco(folder, split="2014", captions="each", image_features=widths)
    assert data.captions == (
        "A man.", "A man and a dog.", "A dog runs.", "The sea.", "Waves.", "A man, a dog.",
    )  # fmt: skip
    assert data.items.tolist() == [0, 0, 1, 2, 2, 3]
    np.testing.assert_array_equal(data.image[:, 0], [9, 9, 57, 42, 42, 73])
    np.testing.assert_array_equal(data.labels[:, 1], [1, 1, 0, 0, 0, 1])
    assert data.picture(4).size == (42, 1)
    train, test = data.split()
    assert not set(train.items) & set(test.items)
    relevance = label_relevance(test.items, test.items)
    np.testing.assert_array_equal(relevance, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_one_part(folder):
    data = fetch_coco(folder, split="val2014", image_features=widths)
    np.testing.assert_array_equal(data.image, [[42], [73]])
    assert data.test is None


@pytest.mark.parametrize(
    ("split", "pictures", "test"),
    [
        ("karpathy", [73, 9, 57], [True, False, False]),
        ("karpathy-val", [42, 9, 57], [True, False, False]),
    ],
)
def test_karpathy_split(folder, split, pictures, test):
    """Rows in the order of the file; restval is training data; labels are looked up by number."""
    data = fetch_coco(folder, split=split, image_features=widths)
    assert data.image[:, 0].tolist() == pictures
    assert data.test.tolist() == test
    labels = {9: [1, 1], 57: [0, 0], 42: [0, 0], 73: [0, 1]}
    assert data.labels.tolist() == [labels[picture] for picture in pictures]


def test_labelled_only(folder):
    data = fetch_coco(folder, split="2014", labelled_only=True, image_features=widths)
    assert data.items.tolist() == [0, 3]
    assert data.captions == ("A man.", "A man, a dog.")
    np.testing.assert_array_equal(data.image, [[9], [73]])
    mine = np.arange(4)[:, None]
    data = fetch_coco(folder, split="2014", labelled_only=True, image_features=mine)
    np.testing.assert_array_equal(data.image, [[0], [3]])


def test_text_features(folder):
    def lengths(captions):
        return np.array([[len(caption)] for caption in captions])

    data = fetch_coco(folder, split="val2014", captions="each", text_features=lengths)
    np.testing.assert_array_equal(data.text, [[8], [6], [13]])
    with pytest.raises(ValueError, match="text_features has 2 rows; it needs one for each of 3"):
        fetch_coco(folder, split="val2014", captions="each", text_features=np.ones((2, 1)))


def test_outlines_are_not_kept(folder, monkeypatch):
    """Outlines are nearly all of the objects' file: they must be gone as soon as they are read."""
    from cmrlib.datasets import coco

    content = coco._read(folder / "coco/annotations/instances_train2014.json", "annotations")
    fields = {key for row in content["annotations"] for key in row}
    assert fields == {"id", "image_id", "category_id"}


# Damage --------------------------------------------------------------------------------------


def test_nothing_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="captions_train2017.json; to have MS-COCO captions, unpack the an"
    ):
        fetch_coco(tmp_path)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("annotations/instances_val2014.json", "2014"),
        ("annotations/captions_val2014.json", "2014"),
        ("dataset_coco.json", "karpathy"),
    ],
)
def test_missing_file(folder, name, split):
    (folder / "coco" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no .*{name}; to have MS-COCO"):
        fetch_coco(folder, split=split)


CAPTIONS, OBJECTS_FILE = "captions_val2014.json", "instances_val2014.json"
BROKEN = [  # file, what to do with its content, message
    (CAPTIONS, lambda c: c.pop("images"), "captions_val2014.json has no list 'images'"),
    (CAPTIONS, lambda c: c.update(images=[1]), "has no list 'images': it is another file"),
    (CAPTIONS, lambda c: c.update(images=[], annotations=[]), "lists no pictures"),
    (CAPTIONS, lambda c: c["images"][0].pop("id"), "'id' is missing, or no int, in"),
    (CAPTIONS, lambda c: c["images"][0].update(file_name="../../x.jpg"), "'../../x.jpg' is no fi"),
    (CAPTIONS, lambda c: c["images"][0].update(file_name="/etc/passwd"), "is no file name"),
    (CAPTIONS, lambda c: c["images"].append(c["images"][0]), "list a picture twice"),
    (CAPTIONS, lambda c: c["annotations"][0].update(image_id=7), "caption of picture 7, which"),
    (CAPTIONS, lambda c: c["annotations"][0].update(caption=None), "'caption' is missing, or no"),
    (CAPTIONS, lambda c: c.update(annotations=c["annotations"][:1]), "73 has no caption; the file"),
    (OBJECTS_FILE, lambda c: c.pop("categories"), "instances_val2014.json has no list 'categor"),
    (OBJECTS_FILE, lambda c: c["annotations"][0].update(category_id=2), "object of category 2"),
    (OBJECTS_FILE, lambda c: c["categories"][0].update(name="comb"), "has other categories than"),
]


@pytest.mark.parametrize(("name", "damage", "message"), BROKEN)
def test_broken_file(folder, name, damage, message):
    path = folder / "coco/annotations" / name
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        fetch_coco(folder, split="2014")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"images": [\n{"id": 1', "captions_val2014.json, line 2: no JSON, or truncated"),
        (b"", "captions_val2014.json, line 1: no JSON"),
        (b"[1, 2]", "captions_val2014.json has no list 'images': it is another file"),
        (b"PK\x03\x04\xff", "captions_val2014.json is no UTF-8 text file: byte 4"),
    ],
)
def test_no_json(folder, content, message):
    (folder / "coco/annotations" / CAPTIONS).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        fetch_coco(folder, split="2014")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filepath": "../val2014"}, "'../val2014' is no folder of the distribution"),
        ({"filename": "..\\x.jpg"}, "is no file name of a picture"),
        ({"sentences": []}, "picture 73 has no caption"),
        ({"sentences": ["A man."]}, "'raw' is missing, or no str, in 'A man.'"),
    ],
)
def test_broken_karpathy_file(folder, change, message):
    path = folder / "coco/dataset_coco.json"
    content = json.loads(path.read_text())
    next(row for row in content["images"] if row["cocoid"] == 73).update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        fetch_coco(folder, split="karpathy")


def test_wrong_argument(folder):
    with pytest.raises(ValueError, match="split must be one of 2017, 2014, .*; got '2015'"):
        fetch_coco(folder, split="2015")
    with pytest.raises(ValueError, match="captions must be one of first, joined, each"):
        fetch_coco(folder, captions="all")
