"""The feature cache: only what is missing is computed, and nothing damaged is ever returned."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmrlib.features.cache import BadItems, cached_features

WORDS = ["cat", "dog", "giraffe", "flag", "ice cream", "größe", "é"]


class Counting:
    """An extractor of strings that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, captions):
        self.asked.append(list(captions))
        return np.array([describe(caption) for caption in captions], np.float32).reshape(-1, 3)

    @property
    def n(self):
        return sum(len(batch) for batch in self.asked)


def describe(caption):
    codes = [ord(letter) for letter in caption]
    return [len(codes), sum(codes) / 7, sum(i * code for i, code in enumerate(codes)) / 3]


def run(extract, items, folder, **options):
    options = {"name": "counting", "version": 1, "batch_size": 2} | options
    return cached_features(extract, items, folder=folder, **options)


def mean_colour(pictures):
    return np.array([np.asarray(p.convert("RGB"), float).mean(axis=(0, 1)) for p in pictures])


def files(folder):
    return sorted(folder.glob("**/*.npz"))


# What is computed


def test_features_are_those_of_the_extractor_bit_for_bit(tmp_path):
    expected = Counting()(WORDS)
    for _ in range(2):
        got = run(Counting(), WORDS, tmp_path)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)


def test_second_call_computes_nothing(tmp_path):
    run(Counting(), WORDS, tmp_path)
    second = Counting()
    run(second, WORDS, tmp_path)
    assert second.asked == []


def test_only_missing_items_are_computed_in_batches_and_order_is_kept(tmp_path):
    run(Counting(), ["dog", "flag"], tmp_path)
    second = Counting()
    got = run(second, WORDS, tmp_path)
    assert second.asked == [["cat", "giraffe"], ["ice cream", "größe"], ["é"]]
    np.testing.assert_array_equal(got, Counting()(WORDS))
    np.testing.assert_array_equal(run(second, WORDS[::-1], tmp_path), Counting()(WORDS)[::-1])


def test_equal_items_are_computed_once(tmp_path):
    extract = Counting()
    got = run(extract, ["cat", "dog", "cat", "cat"], tmp_path)
    assert extract.asked == [["cat", "dog"]]
    np.testing.assert_array_equal(got, Counting()(["cat", "dog", "cat", "cat"]))


@pytest.mark.parametrize("change", [{"name": "other"}, {"version": 2}, {"version": "1.1"}])
def test_another_name_or_version_computes_anew(tmp_path, change):
    run(Counting(), WORDS, tmp_path)
    second = Counting()
    run(second, WORDS, tmp_path, **change)
    assert second.n == len(WORDS)
    third = Counting()
    run(third, WORDS, tmp_path)
    assert third.n == 0  # and the first version is still there


def test_no_items(tmp_path):
    assert run(Counting(), [], tmp_path).shape == (0, 3)


def test_extractor_may_reuse_its_memory(tmp_path):
    memory = np.empty((2, 3), np.float32)

    def extract(captions):
        memory[: len(captions)] = [describe(caption) for caption in captions]
        return memory[: len(captions)]

    np.testing.assert_array_equal(run(extract, WORDS, tmp_path), Counting()(WORDS))


def test_default_folder_is_that_of_the_data(tmp_path, monkeypatch):
    monkeypatch.setenv("CMRLIB_DATA", str(tmp_path))
    run(Counting(), WORDS[:1], None)
    assert [path.parent for path in files(tmp_path)] == [tmp_path / "features/counting/1"]


def test_progress_bar_only_on_demand_and_starts_at_what_is_there(tmp_path, capfd):
    run(Counting(), WORDS[:3], tmp_path)
    assert capfd.readouterr() == ("", "")
    run(Counting(), WORDS, tmp_path, verbose=True)
    shown = capfd.readouterr().err
    assert "counting" in shown
    assert "3/7" in shown
    assert "7/7" in shown


# What an item's content is


def pictures():
    red = Image.new("RGB", (2, 2), "red")
    wide = Image.new("RGB", (4, 1), "red")  # the same bytes as red
    grey = Image.frombytes("L", (3, 4), red.tobytes())  # and again
    other = Image.frombytes("YCbCr", (2, 2), red.tobytes())
    rgba = Image.new("RGBA", (1, 3), (255, 0, 0, 255))
    clear = Image.new("RGBA", (1, 3), (255, 0, 0, 0))
    palettes = []
    for colours, transparent in (((9, 9, 9), None), ((8, 9, 9), None), ((9, 9, 9), 0)):
        picture = Image.new("P", (2, 2), 0)
        picture.putpalette(colours)
        if transparent is not None:
            picture.info["transparency"] = transparent
        palettes.append(picture)
    deep = Image.fromarray(np.full((2, 2), 300, np.uint16))
    shallow = Image.fromarray(np.full((2, 2), 44, np.uint16))  # 300 in its lower byte
    return [red, wide, grey, other, rgba, clear, *palettes, deep, shallow, Image.new("1", (1, 1))]


def test_pictures_of_every_mode_are_told_apart(tmp_path):
    kept = pictures()
    numbers = {id(picture): i for i, picture in enumerate(kept)}

    def number(batch):
        return np.array([[numbers[id(picture)]] for picture in batch])

    got = run(number, kept, tmp_path)
    np.testing.assert_array_equal(got[:, 0], range(len(kept)))


def test_equal_pictures_are_found_again_whatever_holds_them(tmp_path):
    run(mean_colour, pictures(), tmp_path)

    def refuse(batch):
        raise AssertionError("nothing is missing")

    again = [picture.copy() for picture in pictures()]
    run(refuse, again, tmp_path)


def test_picture_text_and_file_of_the_same_bytes_are_different_items(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("AAA")
    Image.new("L", (3, 1), ord("A")).save(tmp_path / "a.png")
    items = ["AAA", Image.new("L", (3, 1), ord("A")), tmp_path / "a.png"]
    asked = []

    def extract(batch):
        asked.extend(batch)
        return np.zeros((len(batch), 1))

    run(extract, items, tmp_path)
    assert len(asked) == 3


def test_paths_are_opened_and_found_again_under_another_name(tmp_path):
    kept = [Image.new("RGB", (3, 2), colour) for colour in ("red", "white", "navy")]
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for picture, path in zip(kept, paths, strict=True):
        picture.save(path)
    got = run(mean_colour, paths, tmp_path)
    np.testing.assert_array_equal(got, mean_colour(kept))
    moved = paths[1].rename(tmp_path / "moved.png")

    def refuse(batch):
        raise AssertionError("nothing is missing")

    np.testing.assert_array_equal(run(refuse, [moved], tmp_path), got[1:2])
    kept[0].save(moved)  # the same name, other content
    np.testing.assert_array_equal(run(mean_colour, [moved], tmp_path), got[:1])


def test_file_that_changes_during_the_run_is_not_stored_under_its_old_content(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, colour in zip(paths, ("red", "white", "navy"), strict=True):
        Image.new("RGB", (1, 1), colour).save(path)

    def extract(batch):
        Image.new("RGB", (1, 1), "green").save(paths[2])
        return mean_colour(batch)

    with pytest.raises(BadItems, match="has changed during the run"):
        run(extract, paths, tmp_path)
    got = run(mean_colour, paths, tmp_path)
    np.testing.assert_array_equal(got[2], [0, 128, 0])


# Bad items


def test_one_bad_item_in_a_thousand_is_named_and_the_rest_is_kept(tmp_path):
    items = [f"caption {i}" for i in range(1000)]
    items[617] = " "

    def extract(captions):
        for i, caption in enumerate(captions):
            if not caption.strip():
                raise ValueError(f"caption {i} is empty.")
        return Counting()(captions)

    with pytest.raises(BadItems) as caught:
        run(extract, items, tmp_path, batch_size=64)
    message = str(caught.value)
    assert message.startswith("1 of 1000 items have no features: item 617 (' '): caption 0 is empt")
    assert f"kept in {tmp_path / 'counting' / '1'}; mend or leave out" in message
    assert caught.value.reasons == {617: "caption 0 is empty"}
    assert isinstance(caught.value.__cause__, ValueError)
    second = Counting()
    items[617] = "mended"
    got = run(second, items, tmp_path)
    assert second.asked == [["mended"]]
    np.testing.assert_array_equal(got, Counting()(items))


def broken_files(folder):
    """Return files that are no picture, cut short, empty, not there, and a folder."""
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "PNG")
    contents = {"no.png": b"not a picture", "cut.png": whole.getvalue()[:1500], "empty.png": b""}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in [*contents, "absent.png"]] + [folder]


def test_unreadable_files_are_named(tmp_path):
    good = tmp_path / "good.png"
    Image.new("RGB", (1, 1), "navy").save(good)
    broken = broken_files(tmp_path)
    with pytest.raises(BadItems) as caught:
        run(mean_colour, [*broken, good], tmp_path / "cache")
    assert list(caught.value.reasons) == [0, 1, 2, 3, 4]
    for i, path in enumerate(broken):
        assert f"item {i} ({path}): " in str(caught.value)
    got = run(None, [good], tmp_path / "cache")  # no extractor is needed
    np.testing.assert_array_equal(got, [[0, 0, 128]])


@pytest.mark.parametrize(
    "item, reason",
    [
        (None, "an item is a str, a PIL image or a path, not NoneType"),
        (b"caf\xe9", "an item is a str, a PIL image or a path, not bytes"),
        ("caf\udce9", "surrogates not allowed"),
    ],
)
def test_what_is_no_item_is_named(tmp_path, item, reason):
    with pytest.raises(BadItems, match=rf"1 of 3 items .* item 1 .*{reason}"):
        run(Counting(), ["cat", item, "dog"], tmp_path)
    second = Counting()
    run(second, ["cat", "dog"], tmp_path)
    assert second.n == 0


def test_picture_that_cannot_be_loaded_is_named(tmp_path):
    with (
        Image.open(broken_files(tmp_path)[1]) as cut,
        pytest.raises(BadItems, match=r"item 1 \(RGB picture of 40 x 40\): .*truncated"),
    ):
        run(mean_colour, [Image.new("RGB", (1, 1)), cut], tmp_path)


def test_every_place_of_a_bad_item_is_named(tmp_path):
    def extract(captions):
        if "bad" in captions:
            raise RuntimeError
        return Counting()(captions)

    with pytest.raises(BadItems) as caught:
        run(extract, ["bad", "cat", "bad", "dog", "bad"], tmp_path)
    assert caught.value.reasons == dict.fromkeys((0, 2, 4), "RuntimeError")


def test_many_bad_items_are_counted(tmp_path):
    with pytest.raises(
        BadItems, match=r"9 of 9 items .*item 4 .*; \.\.\.\. The features"
    ) as caught:
        run(Counting(), [None] * 9, tmp_path)
    assert "item 5" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_never_kept(tmp_path, value):
    def extract(captions):
        features = Counting()(captions)
        features[[caption == "dog" for caption in captions], 1] = value
        return features

    for _ in range(2):
        with pytest.raises(BadItems, match=r"item 1 \('dog'\): its features are not finite"):
            run(extract, WORDS, tmp_path)
    second = Counting()
    run(second, WORDS, tmp_path)
    assert second.asked == [["dog"]]


@pytest.mark.parametrize("error", [ImportError("no such package"), MemoryError()])
def test_errors_that_are_no_items_fault_are_passed_on(tmp_path, error):
    calls = []

    def extract(captions):
        calls.append(captions)
        raise error

    with pytest.raises(type(error)):
        run(extract, WORDS, tmp_path)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "returned", [np.zeros((1, 3)), np.zeros(2), np.array([["a"], ["b"]]), np.zeros((2, 3), object)]
)
def test_extractor_that_returns_no_feature_matrix_is_refused(tmp_path, returned):
    with pytest.raises(ValueError, match=r"must return numbers of shape \(2, d\) for 2 items"):
        run(lambda captions: returned, WORDS[:2], tmp_path)
    assert files(tmp_path) == []


def test_features_of_another_width_or_type_are_refused(tmp_path):
    run(Counting(), ["cat"], tmp_path)
    for other in (np.zeros((1, 4), np.float32), np.zeros((1, 3))):
        with pytest.raises(ValueError, match="holds features of width 3 and type float32"):
            run(lambda captions, other=other: other, ["dog"], tmp_path)
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "options, match",
    [
        ({"name": "a/b"}, "name must be letters"),
        ({"name": ""}, "name must be letters"),
        ({"version": ".."}, "version must be letters"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_options_are_refused(tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        run(Counting(), WORDS, tmp_path, **options)


@pytest.mark.parametrize("single", ["cat", Path("cat.png")])
def test_single_item_is_refused(tmp_path, single):
    with pytest.raises(TypeError, match="must be a sequence of items"):
        run(Counting(), single, tmp_path)


# Damage and interruption


def damages():
    def cut(path):
        path.write_bytes(path.read_bytes()[:-30])

    def empty(path):
        path.write_bytes(b"")

    def flip(path):
        content = bytearray(path.read_bytes())
        content[content.index(np.float32(7).tobytes())] ^= 1  # in a feature of "giraffe"
        path.write_bytes(content)

    def other(path):
        np.savez(path, keys=np.zeros((1, 32), np.uint8), features=np.zeros((1, 3), np.float32))

    def pickled(path):
        np.savez(path, keys=np.array([{}], object))

    return [cut, empty, flip, other, pickled]


@pytest.mark.parametrize("damage", damages())
def test_damaged_file_is_deleted_and_computed_again(tmp_path, damage):
    run(Counting(), ["cat", "dog"], tmp_path)
    (whole,) = files(tmp_path)
    run(Counting(), ["giraffe", "flag"], tmp_path)
    (hurt,) = set(files(tmp_path)) - {whole}
    damage(hurt)
    second = Counting()
    with pytest.warns(UserWarning, match=f"{hurt} is damaged; it is deleted"):
        got = run(second, WORDS[:4], tmp_path, batch_size=1)
    assert second.asked == [["giraffe"], ["flag"]]
    assert not hurt.exists()
    np.testing.assert_array_equal(got, Counting()(WORDS[:4]))
    third = Counting()
    run(third, WORDS[:4], tmp_path)
    assert third.n == 0


def test_files_are_plain_arrays(tmp_path):
    run(Counting(), WORDS, tmp_path)
    for path in files(tmp_path):
        with np.load(path, allow_pickle=False) as batch:
            assert batch["keys"].dtype == np.uint8
            assert batch["keys"].shape == (len(batch["features"]), 32)


def test_interrupt_keeps_the_finished_batches(tmp_path):
    class Interrupted(Counting):
        def __call__(self, captions):
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().__call__(captions)

    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(), WORDS, tmp_path)
    second = Counting()
    got = run(second, WORDS, tmp_path)
    assert second.asked == [["ice cream", "größe"], ["é"]]
    np.testing.assert_array_equal(got, Counting()(WORDS))


def test_file_that_was_not_finished_is_never_read(tmp_path, monkeypatch):
    def fail(self, target):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", fail)
        with pytest.raises(OSError, match="no space left"):
            run(Counting(), WORDS, tmp_path)
    assert not [path for path in tmp_path.glob("**/*") if path.is_file()]
    (tmp_path / "counting/1/half.tmp").write_bytes(b"half")  # as a kill leaves it
    np.testing.assert_array_equal(run(Counting(), WORDS, tmp_path), Counting()(WORDS))


SLOW = """
import sys, time
import numpy as np
from cmrlib.features.cache import cached_features

def slow(captions):
    time.sleep(float(sys.argv[3]))
    return np.array([[len(c), sum(map(ord, c)) / 7] for c in captions], np.float32)

features = cached_features(
    slow, [f"caption {i}" for i in range(40)], name="slow", version=1, folder=sys.argv[1],
    batch_size=2,
)
np.save(sys.argv[2], features)
"""


def slow(captions):
    return np.array([[len(c), sum(map(ord, c)) / 7] for c in captions], np.float32)


def start(folder, output, pause):
    return subprocess.Popen([sys.executable, "-c", SLOW, folder, output, str(pause)])


def test_killed_run_loses_at_most_one_batch(tmp_path):
    process = start(tmp_path, tmp_path / "never.npy", 0.05)
    while len(files(tmp_path)) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "never.npy").exists()
    kept = 2 * len(files(tmp_path))
    assert 6 <= kept < 40
    asked = []

    def extract(captions):
        asked.extend(captions)
        return slow(captions)

    items = [f"caption {i}" for i in range(40)]
    got = run(extract, items, tmp_path, name="slow")
    assert asked == items[kept:]
    np.testing.assert_array_equal(got, slow(items))


def test_runs_at_the_same_time_share_a_folder(tmp_path):
    processes = [start(tmp_path, tmp_path / f"{i}.npy", 0.01) for i in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    expected = slow([f"caption {i}" for i in range(40)])
    for i in range(2):
        np.testing.assert_array_equal(np.load(tmp_path / f"{i}.npy"), expected)
    assert not list(tmp_path.glob("**/*.tmp"))
    np.testing.assert_array_equal(
        run(None, [f"caption {i}" for i in range(40)], tmp_path, name="slow"), expected
    )
