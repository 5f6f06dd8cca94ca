"""NUS-WIDE: its text files are read exactly, and every kind of broken file is refused."""

import numpy as np
import pytest
from PIL import Image

from cmrlib.datasets import fetch_nuswide

NAMES = [
    "actor/0001_2124494179.jpg",
    "actor/0002_174174086.jpg",
    "adobehouses/0001_2124494179.jpg",  # the first photograph again, found by another word
    "zoo/0003_31.jpg",
    "zoo/0004_32.jpg",
]
TEST = [False, True, False, False, True]
CONCEPTS = ["airport", "animal", "sky"]
LABELS = np.array([[0, 0, 1], [0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
TAGS = np.zeros((5, 1000), int)
TAGS[[0, 1, 1, 3], [0, 0, 999, 500]] = 1  # picture 5 has a concept and no tag
BOW = np.arange(2500).reshape(5, 500) % 97


def table(rows, between):
    """Return lines as in the distribution, with the separator at their ends too."""
    return "".join("".join(f"{number}{between}" for number in row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    """A folder with a distribution of five pictures, three concepts."""
    root = tmp_path / "nuswide"
    lists = {
        "Imagelist": NAMES,
        "TrainImagelist": [name for name, test in zip(NAMES, TEST, strict=True) if not test],
        "TestImagelist": [name for name, test in zip(NAMES, TEST, strict=True) if test],
    }
    files = {
        "ConceptsList/Concepts81.txt": "".join(f"{concept}\r\n" for concept in CONCEPTS),
        "NUS_WID_Tags/AllTags1k.txt": table(TAGS, "\t"),
        "NUS_WID_Tags/All_Tags.txt": "2124494179   actor night\n174174086   bär\n"
        "2124494179   actor night\n31\n32   zoo\n",
        "Low_Level_Features/BoW_int.dat": table(BOW, " "),
        "Low_Level_Features/Normalized_CH.dat": table(BOW[:, :64] / 8, " "),
    }
    for name, lines in lists.items():
        files[f"ImageList/{name}.txt"] = "".join(line.replace("/", "\\") + "\r\n" for line in lines)
    for concept, column in zip(CONCEPTS, LABELS.T, strict=True):
        files[f"Groundtruth/AllLabels/Labels_{concept}.txt"] = table(column[:, None], "")
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, newline="", encoding="utf-8")
    return tmp_path


# Values --------------------------------------------------------------------------------------


def test_all_pictures_in_the_order_of_the_list(folder):
    data = fetch_nuswide(folder, keep="all")
    np.testing.assert_array_equal(data.image, BOW)
    np.testing.assert_array_equal(data.text, TAGS)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert data.class_names == ("airport", "animal", "sky")
    assert data.test.tolist() == TEST
    assert data.items.tolist() == [0, 1, 2, 3, 4]
    assert (data.image.dtype, data.text.dtype, data.labels.dtype) == ("f4", "u1", "u1")


@pytest.mark.parametrize(
    ("keep", "items"), [("labelled", [0, 1, 3, 4]), ("complete", [0, 1, 3]), ("all", range(5))]
)
def test_what_is_kept(folder, keep, items):
    data = fetch_nuswide(folder, keep=keep)
    items = list(items)
    assert data.items.tolist() == items
    np.testing.assert_array_equal(data.image, BOW[items])
    np.testing.assert_array_equal(data.text, TAGS[items])
    np.testing.assert_array_equal(data.labels, LABELS[items])
    assert data.test.tolist() == [TEST[i] for i in items]


def test_official_split(folder):
    train, test = fetch_nuswide(folder).split()
    assert train.items.tolist() == [0, 3]
    assert test.items.tolist() == [1, 4]


def test_most_frequent_concepts(folder):
    """sky and animal have three pictures each; of one concept, the first in the list wins."""
    data = fetch_nuswide(folder, n_concepts=2)
    assert data.class_names == ("animal", "sky")
    np.testing.assert_array_equal(data.labels, LABELS[[0, 1, 3, 4], 1:])
    data = fetch_nuswide(folder, n_concepts=1)
    assert data.class_names == ("animal",)
    assert data.items.tolist() == [1, 3, 4]


def test_frequency_is_counted_beyond_255(folder):
    """Columns of uint8 must not be added up in uint8: 257 pictures would count as one."""
    n = 300
    names = [f"zoo/{i:04}_{i}.jpg" for i in range(n)]
    root = folder / "nuswide"
    for name, chosen in (("Image", names), ("TrainImage", names[:200]), ("TestImage", names[200:])):
        (root / f"ImageList/{name}list.txt").write_text("\n".join(chosen) + "\n")
    for concept, count in zip(CONCEPTS, (3, 257, 2), strict=True):
        ones = "".join("1\n" if i < count else "0\n" for i in range(n))
        (root / f"Groundtruth/AllLabels/Labels_{concept}.txt").write_text(ones)
    (root / "NUS_WID_Tags/AllTags1k.txt").write_text(table(np.zeros((n, 1000), int), "\t"))
    (root / "Low_Level_Features/BoW_int.dat").write_text(table(np.ones((n, 500), int), " "))
    assert fetch_nuswide(folder, n_concepts=1).class_names == ("animal",)


def test_other_low_level_features(folder):
    data = fetch_nuswide(folder, image_features="Normalized_CH")
    np.testing.assert_array_equal(data.image, BOW[[0, 1, 3, 4], :64] / 8)


def test_archive_unpacked_into_its_own_folder(folder):
    root = folder / "nuswide"
    (root / "NUS_WID_Low_Level_Features").mkdir()
    (root / "Low_Level_Features").rename(root / "NUS_WID_Low_Level_Features/Low_Level_Features")
    np.testing.assert_array_equal(fetch_nuswide(folder, keep="all").image, BOW)


def test_captions_are_all_tags(folder):
    assert fetch_nuswide(folder).captions == ()
    data = fetch_nuswide(folder, captions=True)
    assert data.captions == ("actor night", "bär", "", "zoo")


def test_features_of_ones_own(folder, tmp_path):
    mine = np.arange(10).reshape(5, 2)
    np.testing.assert_array_equal(
        fetch_nuswide(folder, image_features=mine).image, mine[[0, 1, 3, 4]]
    )
    np.save(tmp_path / "mine.npy", mine)
    data = fetch_nuswide(folder, image_features=tmp_path / "mine.npy")
    np.testing.assert_array_equal(data.image, mine[[0, 1, 3, 4]])
    assert fetch_nuswide(folder, image_features=None).image.shape == (4, 0)


def test_pictures_are_read_when_asked_for(folder):
    data = fetch_nuswide(folder)
    with pytest.raises(FileNotFoundError, match=r"no picture .*actor/0001_2124494179.jpg; unpack"):
        data.picture(0)
    path = folder / "nuswide/Flickr/zoo/0003_31.jpg"
    path.parent.mkdir(parents=True)
    Image.new("L", (3, 2)).save(path)
    picture = data.picture(2)  # row 2 of what is kept is picture 4 of the list
    assert (picture.size, picture.mode) == ((3, 2), "RGB")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="0003_31.jpg is damaged, or no picture"):
        data.picture(2)


def test_environment_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("CMRLIB_DATA", str(folder))
    assert len(fetch_nuswide()) == 4


# Damage --------------------------------------------------------------------------------------


def test_nothing_there(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=f"no {tmp_path}/nuswide/ImageList/Imagelist.txt; to have NUS-WIDE, unpack .*Ground",
    ):
        fetch_nuswide(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *("ImageList/TrainImagelist.txt", "ConceptsList/Concepts81.txt", "Groundtruth/AllLabels"),
        *("Groundtruth/AllLabels/Labels_sky.txt", "NUS_WID_Tags/AllTags1k.txt"),
        "Low_Level_Features/BoW_int.dat",
    ],
)
def test_missing_part(folder, name):
    path = folder / "nuswide" / name
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError, match=f"there is no .*{name}; to have NUS-WIDE, unpack"):
        fetch_nuswide(folder)


LIST, SKY = "ImageList/Imagelist.txt", "Groundtruth/AllLabels/Labels_sky.txt"
BROKEN = [
    (LIST, "zoo\\0003_31.jpg", "..\\0003_31.jpg", r"Imagelist.txt, line 4: '../0003_31.jpg' is no"),
    (LIST, "zoo\\0003_31.jpg", "C:\\zoo\\3_31.jpg", r"line 4: 'C:/zoo/3_31.jpg' is no picture"),
    (LIST, "zoo\\0003_31.jpg", "<html>", r"line 4: '<html>' is no picture"),
    (LIST, "zoo\\0003_31.jpg\r\n", "", r"line 3: 'zoo/0003_31.jpg' is not in Imagelist.txt"),
    ("ImageList/TestImagelist.txt", "zoo\\0004_32.jpg", "actor\\0001_2124494179.jpg", "already"),
    ("ImageList/TestImagelist.txt", "zoo\\0004_32.jpg\r\n", "", "'zoo/0004_32.jpg' .* truncated"),
    ("ConceptsList/Concepts81.txt", "sky\r\n", "", "Concepts81.txt does not list 'sky', which"),
    ("ConceptsList/Concepts81.txt", "sky", "../sky", "line 3: '../sky' is no concept"),
    (SKY, "1\n1\n0", "1\n-1130179\n0", "Labels_sky.txt, line 2: '-1130179' is no 0 or 1"),
    (SKY, "1\n1\n0", "1\n2\n0", "Labels_sky.txt, line 2: '2' is no 0 or 1"),
    (SKY, "1\n1\n0", "1\n0.5\n0", "Labels_sky.txt, line 2: '0.5' is no 0 or 1"),
    (SKY, "1\n1\n0", "1\n1 1\n0", "Labels_sky.txt, line 2: 2 numbers where 1 are expected"),
    (SKY, "1\n1\n0\n1\n0\n", "1\n1\n", "Labels_sky.txt ends after 2 of 5 rows: it is truncated"),
    (SKY, "1\n1\n0", "1\n1\n0\n0", "Labels_sky.txt has more than 5 rows, the number of pictures"),
    (SKY, "1\n1\n0\n1\n0\n", "", "Labels_sky.txt ends after 0 of 5 rows"),
    ("Low_Level_Features/BoW_int.dat", "96 0 ", "96 x ", "BoW_int.dat, line 1: 'x' is no finite"),
    ("Low_Level_Features/BoW_int.dat", "96 0 ", "96 nan ", "line 1: 'nan' is no finite number"),
    ("Low_Level_Features/BoW_int.dat", "96 0 ", "96 1_0 ", "line 1: '1_0' is no finite number"),
    ("Low_Level_Features/BoW_int.dat", "96 0 ", "96 ", "line 1: 499 numbers where 500 are"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), BROKEN)
def test_broken_file(folder, name, old, new, message):
    path = folder / "nuswide" / name
    content = path.read_bytes().decode()
    assert old in content
    path.write_bytes(content.replace(old, new, 1).encode())
    with pytest.raises(ValueError, match=message):
        fetch_nuswide(folder)


def test_line_beyond_the_first_block_is_named(folder):
    """Tables are read in blocks of lines; the number is the line of the file."""
    n = 5000
    names = [f"zoo/{i:04}_{i}.jpg" for i in range(n)]
    root = folder / "nuswide"
    for name, chosen in (("Image", names), ("TrainImage", names[1:]), ("TestImage", names[:1])):
        (root / f"ImageList/{name}list.txt").write_text("\n".join(chosen))
    (root / "Groundtruth/AllLabels/Labels_airport.txt").write_text("0\n" * 4998 + "x\n0\n")
    with pytest.raises(ValueError, match="Labels_airport.txt, line 4999: 'x' is no 0 or 1"):
        fetch_nuswide(folder)


def test_binary_file_in_place_of_a_list(folder):
    (folder / "nuswide" / LIST).write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with pytest.raises(ValueError, match="Imagelist.txt is no UTF-8 text file: byte 0"):
        fetch_nuswide(folder)


def test_captions_of_other_pictures(folder):
    path = folder / "nuswide/NUS_WID_Tags/All_Tags.txt"
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace("174174086", "174174087"), encoding="utf-8")
    with pytest.raises(ValueError, match="All_Tags.txt, line 2: '174174087' is not the number of"):
        fetch_nuswide(folder, captions=True)
    path.write_text(content[:-10], encoding="utf-8")
    with pytest.raises(ValueError, match="All_Tags.txt has 4 lines for 5 pictures"):
        fetch_nuswide(folder, captions=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_concepts": 0}, "n_concepts must be from 1 to 3, got 0"),
        ({"n_concepts": 4}, "n_concepts must be from 1 to 3, got 4"),
        ({"keep": "some"}, "keep must be one of all, labelled, complete; got 'some'"),
        (
            {"image_features": np.ones((4, 2))},
            "has 4 rows; it needs one for each of 5 of the whole",
        ),
        ({"image_features": np.ones(5)}, "must be a 2-d array of real numbers, got 1-d"),
        ({"image_features": lambda pictures: np.ones((5, 2))}, "has 5 rows; .* each of 4 that are"),
    ],
)
def test_wrong_argument(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        fetch_nuswide(folder, **arguments)


def test_feature_file_is_never_unpickled(folder, tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}, None, 1, 2, 3]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"objects.npy is no array in the .npy format"):
        fetch_nuswide(folder, image_features=tmp_path / "objects.npy")
    np.savez(tmp_path / "two.npz", np.ones((5, 2)))
    with pytest.raises(ValueError, match="two.npz is an .npz archive"):
        fetch_nuswide(folder, image_features=tmp_path / "two.npz")
    (tmp_path / "text.npy").write_text("1 2 3")
    with pytest.raises(ValueError, match="text.npy is no array in the .npy format"):
        fetch_nuswide(folder, image_features=tmp_path / "text.npy")
    with pytest.raises(FileNotFoundError, match="there is no file .*none.npy for image_features"):
        fetch_nuswide(folder, image_features=tmp_path / "none.npy")
