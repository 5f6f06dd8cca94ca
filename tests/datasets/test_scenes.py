"""Generated scenes: what they say of themselves is true, of the boxes and of the pixels."""

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest

from cmrlib.datasets.scenes import (
    COLOURS,
    EVENTS,
    PALETTE,
    PREDICATES,
    PROBES,
    SHAPES,
    SIZES,
    VOCABULARY,
    make_clips,
    make_probe,
    make_scenes,
    score_probe,
    true_relations,
)

ARRAYS = ("image", "text", "labels", "classes", "colours", "sizes", "boxes", "stated")
ARRAYS += ("size_said", "tokens", "token_objects", "heads", "token_mask", "regions", "relations")
CLIP_ARRAYS = ("image", "text", "labels", "classes", "colours", "sizes", "boxes", "actors")
CLIP_ARRAYS += ("intervals", "frame_features", "tokens", "token_mask")


@pytest.fixture(scope="module", params=[2, 3, 5])
def scenes(request):
    return make_scenes(200, request.param, random_state=request.param)


def stands(a, predicate, b):
    """The definition of the relations, in words of one object and another."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a.box, b.box
    return {
        "left of": ax1 <= bx0,
        "right of": ax0 >= bx1,
        "above": ay1 <= by0,
        "below": ay0 >= by1,
    }[predicate]


def named(objects, shape):
    (found,) = [thing for thing in objects if thing.shape == shape]
    return found


def fits(parse, objects, *, relations=True):
    """Whether what a caption says is true of objects: an oracle that reads no array."""
    shapes = {thing.shape for thing in objects}
    return (
        set(parse.objects) <= shapes
        and all(word in named(objects, noun)[1:3] for noun, word in parse.attributes)
        and not (
            relations
            and any(
                not stands(named(objects, s), p, named(objects, o)) for s, p, o in parse.relations
            )
        )
    )


def inked(picture, colour):
    """Rows and columns of the pixels that are of a colour, edges left out."""
    return np.nonzero((np.asarray(picture) == PALETTE[colour]).all(axis=-1))


# The world -----------------------------------------------------------------------------------


def test_relations_by_hand():
    a, b, c = (0.1, 0.1, 0.3, 0.3), (0.5, 0.2, 0.7, 0.4), (0.3, 0.6, 0.45, 0.8)
    truth = true_relations([a, b, c])
    found = {(int(s), PREDICATES[p], int(o)) for s, o, p in np.argwhere(truth)}
    assert found == {
        (0, "left of", 1),  # a and b overlap in y: one relation each way
        (1, "right of", 0),
        (0, "left of", 2),  # they touch in x, 0.3 <= 0.3, and are apart in y
        (2, "right of", 0),
        (0, "above", 2),
        (2, "below", 0),
        (2, "left of", 1),
        (1, "right of", 2),
        (1, "above", 2),
        (2, "below", 1),
    }


def test_relations_are_those_of_the_pixels(scenes):
    for row in range(40):
        objects, picture = scenes.objects(row), scenes.picture(row)
        for s, o in permutations(range(len(objects)), 2):
            (ya, xa), (yb, xb) = (inked(picture, objects[i].colour) for i in (s, o))
            # edges are blended with white, and a pixel that two objects share has neither colour
            truth = [
                xa.max() < xb.min(),
                xa.min() > xb.max(),
                ya.max() < yb.min(),
                ya.min() > yb.max(),
            ]
            assert scenes.relations[row, s, o].tolist() == truth


def test_two_objects_never_meet_and_always_relate(scenes):
    assert (scenes.boxes > 0).all() and (scenes.boxes < 1).all()
    for row in range(len(scenes)):
        for a, b in combinations(scenes.objects(row), 2):
            holds = [stands(a, predicate, b) for predicate in PREDICATES]
            assert 1 <= sum(holds) <= 2  # 2 on a diagonal
            assert not (holds[0] and holds[1]) and not (holds[2] and holds[3])
            converse = [stands(b, predicate, a) for predicate in PREDICATES]
            assert converse == [holds[1], holds[0], holds[3], holds[2]]


def test_no_class_or_colour_twice_and_one_large_object(scenes):
    for row in range(len(scenes)):
        objects = scenes.objects(row)
        for names in ({x.shape for x in objects}, {x.colour for x in objects}):
            assert len(names) == len(objects)
        width = {thing.shape: thing.box[2] - thing.box[0] for thing in objects}
        (large,) = [thing.shape for thing in objects if thing.size == "large"]
        assert large == SHAPES[scenes.labels[row]] == max(width, key=width.get)
        assert width[large] > 1.3 * sorted(width.values())[-2]


def test_places_and_roles_are_independent():
    """No short cut: neither the order of the objects nor their size tells the subject."""
    n = 6000
    scenes = make_scenes(n, random_state=0)
    subject = scenes.stated[:, 0, 0]
    mentioned = 2 + (scenes.stated[:, 1, 0] >= 0)

    def expect(event, share):
        assert abs(np.mean(event) - share) < 5 * np.sqrt(share * (1 - share) / n)

    for place in range(3):
        expect(subject == place, 1 / 3)
        expect(scenes.sizes[:, place] == 1, 1 / 3)
    expect(scenes.sizes[np.arange(n), subject] == 1, np.mean(1 / mentioned))
    expect(mentioned == 3, 1 / 2)
    for p in range(4):
        expect(scenes.stated[:, 0, 1] == p, 1 / 4)
    for i in range(8):
        expect(scenes.labels == i, 1 / 8)
        expect((scenes.colours == i).any(axis=1), 3 / 8)
    expect(scenes.size_said[scenes.sizes == 1], 2 / 3)


# Pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [48, 64, 96])
def test_centre_of_an_object_has_its_colour(size):
    scenes = make_scenes(150, 4, picture_size=size, random_state=0)
    pixels = scenes.pixels()
    assert pixels.shape == (150, size, size, 3) and pixels.dtype == np.uint8
    seen = set()
    for row in range(150):
        for thing in scenes.objects(row):
            x, y = np.add(thing.box[:2], thing.box[2:]) / 2 * size
            assert tuple(pixels[row, int(y), int(x)]) == PALETTE[thing.colour]
            seen.add((thing.shape, thing.size))
    assert len(seen) == 16


def test_boxes_touch_the_shapes():
    scenes = make_scenes(100, 4, picture_size=96, random_state=0)  # cells of 32 pixels
    for row in range(100):
        ink = (np.asarray(scenes.picture(row)) != 255).any(axis=-1)
        for thing in scenes.objects(row):
            i, j = (32 * int((a + b) / 2 * 3) for a, b in (thing.box[::2], thing.box[1::2]))
            y, x = np.nonzero(ink[j : j + 32, i : i + 32])
            found = i + x.min(), j + y.min(), i + x.max() + 1, j + y.max() + 1
            assert np.abs(np.subtract(found, np.array(thing.box) * 96)).max() <= 1.1, thing


def test_shapes_look_different():
    """Each class at the same place, size and colour: no two pictures are alike."""
    drawn = {}
    scenes = make_scenes(800, 2, random_state=1)
    for row in range(len(scenes)):
        for thing in scenes.objects(row):
            if thing.size == "small":
                continue
            x, y = (int(c * 64) for c in np.add(thing.box[:2], thing.box[2:]) / 2)
            patch = np.asarray(scenes.picture(row))[y - 8 : y + 8, x - 8 : x + 8]
            drawn.setdefault(thing.shape, (patch == PALETTE[thing.colour]).all(axis=-1))
    assert set(drawn) == set(SHAPES)
    for a, b in combinations(SHAPES, 2):
        assert np.mean(drawn[a] != drawn[b]) > 0.05, (a, b)


# Captions ------------------------------------------------------------------------------------


def test_caption_by_hand():
    scenes = make_scenes(400, random_state=0)
    captions = [" ".join(scenes.words(row)) for row in range(400)]
    assert tuple(captions) == scenes.captions
    (row,) = [
        i
        for i, words in enumerate(captions)
        if words.startswith("a small red triangle left of a large green arrow and below")
    ]
    assert captions[row].endswith("and below a small blue star")
    #   a small red triangle left of a large green arrow and below a small blue star
    #   0   1    2     3      4   5  6   7     8     9   10   11  12  13   14   15
    heads = [3, 3, 3, -1, 3, 4, 9, 9, 9, 4, 11, 3, 15, 15, 15, 11, -1]
    assert scenes.heads[row].tolist() == heads
    parse = scenes.parse(row)
    assert parse.objects == ("triangle", "arrow", "star")
    assert parse.attributes == (
        ("triangle", "small"), ("triangle", "red"), ("arrow", "large"), ("arrow", "green"),
        ("star", "small"), ("star", "blue"),
    )  # fmt: skip
    assert parse.relations == (("triangle", "left of", "arrow"), ("triangle", "below", "star"))


def test_captions_are_true(scenes):
    for row in range(len(scenes)):
        assert fits(scenes.parse(row), scenes.objects(row))


def test_parse_rebuilds_the_caption(scenes):
    for row, caption in enumerate(scenes.captions):
        parse = scenes.parse(row)

        def phrase(noun, parse=parse):
            return " ".join(["a", *(word for of, word in parse.attributes if of == noun), noun])

        subject, *others = parse.objects
        assert {s for s, _, _ in parse.relations} == {subject}
        assert [o for _, _, o in parse.relations] == others
        rest = " and ".join(f"{p} {phrase(o)}" for _, p, o in parse.relations)
        assert caption == f"{phrase(subject)} {rest}"


def test_heads_form_a_tree(scenes):
    for row in range(len(scenes)):
        heads, length = scenes.heads[row], len(scenes.words(row))
        assert (heads[:length] < 0).sum() == 1 and (heads[length:] == -1).all()
        for word in range(length):
            seen = [word]
            while heads[seen[-1]] >= 0:
                seen.append(heads[seen[-1]])
                assert len(seen) <= length, "a cycle"


def test_stated_relations_are_those_of_the_parse(scenes):
    for row in range(len(scenes)):
        shapes = [thing.shape for thing in scenes.objects(row)]
        stated = scenes.stated[row]
        stated = stated[stated[:, 0] >= 0]
        triples = tuple((shapes[s], PREDICATES[p], shapes[o]) for s, p, o in stated)
        assert triples == scenes.parse(row).relations


def test_words_point_to_their_objects(scenes):
    for row in range(len(scenes)):
        objects = scenes.objects(row)
        owners = scenes.token_objects[row]
        words = scenes.words(row)
        assert (owners[len(words) :] == -1).all()
        for word, owner in zip(words, owners, strict=False):
            if word in SHAPES:
                assert objects[owner].shape == word
            elif word in COLOURS:
                assert objects[owner].colour == word
            elif word in SIZES:
                assert objects[owner].size == word
            else:
                assert owner == -1
        stated = scenes.stated[row]
        assert set(owners) - {-1} == set(stated[:, [0, 2]].ravel()) - {-1}


def test_caption_tells_the_large_object(scenes):
    for row in range(len(scenes)):
        parse = scenes.parse(row)
        large = [noun for noun, word in parse.attributes if word == "large"]
        small = {noun for noun, word in parse.attributes if word == "small"}
        told = large or [noun for noun in parse.objects if noun not in small]
        assert told == [SHAPES[scenes.labels[row]]]


def test_tokens_and_mask(scenes):
    for row, caption in enumerate(scenes.captions):
        length = len(caption.split())
        tokens = scenes.tokens[row]
        assert [VOCABULARY[i] for i in tokens[:length]] == caption.split()
        assert (tokens[length:] == 0).all()
        np.testing.assert_array_equal(np.flatnonzero(scenes.token_mask[row]), range(length))
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    assert scenes.token_mask.all(axis=1).any(), "no caption has the longest possible length"


# Features ------------------------------------------------------------------------------------


def test_features_count_words_and_objects(scenes):
    names = (*SIZES, *COLOURS, *SHAPES, "left", "right", "above", "below")
    for row, caption in enumerate(scenes.captions):
        count = Counter(caption.split())
        assert scenes.text[row].tolist() == [count[name] for name in names]
        image = dict.fromkeys((*SHAPES, *COLOURS), 0.0)
        for thing in scenes.objects(row):
            x0, y0, x1, y1 = thing.box
            image[thing.shape] = (x1 - x0) * (y1 - y0) * 9  # a cell is a ninth of the picture
            image[thing.colour] = 1
        np.testing.assert_allclose(scenes.image[row], list(image.values()), rtol=1e-12)


def test_regions_are_one_hot(scenes):
    names = np.array([*SHAPES, *COLOURS, *SIZES])
    for row in range(len(scenes)):
        for region, thing in zip(scenes.regions[row], scenes.objects(row), strict=True):
            assert names[region == 1].tolist() == [thing.shape, thing.colour, thing.size]
            assert np.isin(region, (0, 1)).all()


# Seeds and rows ------------------------------------------------------------------------------


def same(a, b, names):
    for name in names:
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), name
    assert a.captions == b.captions


def test_same_seed_same_bytes():
    a, b, c = (make_scenes(50, random_state=seed) for seed in (0, 0, 1))
    same(a, b, ARRAYS)
    assert a.pixels().tobytes() == b.pixels().tobytes()
    assert not set(a.captions) & set(c.captions)
    assert len(set(make_scenes(1000, random_state=0).captions)) > 980
    assert make_scenes(5).captions != make_scenes(5).captions


@pytest.mark.parametrize("n_objects", [2, 3, 5])
def test_a_scene_does_not_depend_on_those_after_it(n_objects):
    few, many = (make_scenes(n, n_objects, random_state=3) for n in (7, 100))
    same(few, many.take(np.arange(7)), ARRAYS)


def test_pictures_do_not_depend_on_their_size():
    small, large = (make_scenes(5, picture_size=size, random_state=0) for size in (48, 64))
    same(small, large, ARRAYS)
    assert small.picture(0).size == (48, 48)


def test_take_and_split_keep_rows_together():
    data = make_scenes(60, random_state=0)
    parts = data.split(test_size=0.25, random_state=0)
    assert sorted(np.concatenate([part.items for part in parts])) == list(range(60))
    shuffled = data.take([5, 3, 40]), data.take(data.labels == 2), data.take([9, 8, 7]).take([2, 0])
    for part in (*parts, *shuffled):
        assert type(part) is type(data) and len(part) == len(part.items) > 0
        for row, item in enumerate(part.items):
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(part, name)[row], getattr(data, name)[item])
            assert part.captions[row] == data.captions[item]
            assert part.objects(row) == data.objects(item)
            assert part.parse(row) == data.parse(item)
            assert part.picture(row).tobytes() == data.picture(item).tobytes()
    np.testing.assert_array_equal(parts[1].pixels(), data.pixels()[parts[1].items])
    assert repr(parts[1]) == "Scenes(15 scenes of 3 objects)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_scenes": 0}, "n_scenes must be a whole number, at least 1, got 0"),
        ({"n_scenes": 2.5}, "n_scenes must be a whole number, at least 1, got 2.5"),
        ({"n_objects": 1}, "n_objects must be a whole number, from 2 to 5, got 1"),
        ({"n_objects": 6}, "n_objects must be a whole number, from 2 to 5, got 6"),
        ({"picture_size": 47}, "picture_size must be a whole number, at least 48, got 47"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_scenes(**arguments)


# Probes --------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=PROBES)
def probe(request, scenes):
    return make_probe(scenes.take(np.arange(0, 200, 2)), request.param, random_state=0)


def bag(caption):
    return Counter(caption.split())


def pair(probe, row):
    """The first subject and its object, as places in the scene."""
    return probe.scenes.stated[row, 0, [0, 2]]


def unchanged(probe, names):
    for name in names:
        np.testing.assert_array_equal(getattr(probe.scenes, name), getattr(probe.twins, name))


def test_swap():
    probe = make_probe(make_scenes(200, 4, random_state=0), "swap")
    same_objects = ["classes", "colours", "sizes", "size_said", "labels", "regions"]
    unchanged(probe, [*same_objects, "image", "text"])
    for row in range(len(probe)):
        a, b = probe.scenes.boxes[row], probe.twins.boxes[row]
        s, o = pair(probe, row)
        order = np.arange(4)
        order[[s, o]] = o, s
        np.testing.assert_array_equal(a[:, :2] + a[:, 2:], (b[:, :2] + b[:, 2:])[order])
        np.testing.assert_array_equal(a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2])
        captions = probe.scenes.captions[row], probe.twins.captions[row]
        assert captions[0] != captions[1] and bag(captions[0]) == bag(captions[1])
        (sa, pa, oa), (sb, pb, ob) = (
            p.parse(row).relations[0] for p in (probe.scenes, probe.twins)
        )
        assert (sa, pa, oa) == (ob, pb, sb)


def test_rebind():
    probe = make_probe(make_scenes(200, 4, random_state=0), "rebind")
    unchanged(
        probe, ["classes", "sizes", "boxes", "stated", "size_said", "text", "labels", "image"]
    )
    for row in range(len(probe)):
        s, o = pair(probe, row)
        a, b = probe.scenes.objects(row), probe.twins.objects(row)
        assert (a[s].colour, a[o].colour) == (b[o].colour, b[s].colour)
        assert all(a[i] == b[i] for i in range(4) if i not in (s, o))
        captions = probe.scenes.captions[row], probe.twins.captions[row]
        assert captions[0] != captions[1] and bag(captions[0]) == bag(captions[1])
        assert probe.scenes.parse(row).relations == probe.twins.parse(row).relations


@pytest.mark.parametrize("n_objects", [2, 3, 5])
def test_move(n_objects):
    probe = make_probe(make_scenes(300, n_objects, random_state=0), "move", random_state=0)
    unchanged(probe, [name for name in ARRAYS if name not in ("boxes", "relations")])
    assert probe.scenes.captions == probe.twins.captions
    movers = Counter()
    for row in range(len(probe)):
        a, b = probe.scenes.objects(row), probe.twins.objects(row)
        (moved,) = [i for i in range(n_objects) if a[i] != b[i]]
        movers[int(np.flatnonzero(pair(probe, row) == moved)[0])] += 1
        shift = np.subtract(b[moved].box, a[moved].box)
        np.testing.assert_allclose(shift * 3, np.round(shift * 3), atol=1e-3)  # whole cells
        (s, p, o), *_ = probe.scenes.parse(row).relations
        assert stands(named(a, s), p, named(a, o)) and not stands(named(b, s), p, named(b, o))
        for x, y in combinations(b, 2):
            assert any(stands(x, predicate, y) for predicate in PREDICATES)
    assert min(movers[0], movers[1]) > 50
    boxes = probe.twins.boxes
    assert (boxes > 0).all() and (boxes < 1).all()
    again, other = (
        make_probe(probe.scenes, "move", random_state=seed).twins.boxes for seed in (0, 1)
    )
    assert again.tobytes() == boxes.tobytes() and other.tobytes() != boxes.tobytes()


def test_captions_fit_their_own_picture_alone(probe):
    for row in range(len(probe)):
        a, b = probe.scenes, probe.twins
        assert fits(a.parse(row), a.objects(row)) and not fits(a.parse(row), b.objects(row))
        if probe.kind != "move":  # where both captions are one
            assert fits(b.parse(row), b.objects(row)) and not fits(b.parse(row), a.objects(row))


def test_twins_are_scenes_and_their_pictures_differ(probe):
    assert (probe.scenes.pixels() != probe.twins.pixels()).any(axis=(1, 2, 3)).all()
    twins = probe.twins
    np.testing.assert_array_equal(twins.labels, twins.classes[twins.sizes == 1])
    for row in range(len(probe)):
        words, owners = twins.words(row), twins.token_objects[row]
        for word, owner in zip(words, owners, strict=False):
            if owner >= 0:
                assert word in twins.objects(row)[owner][:3]


def oracle(pictures, captions):
    return [fits(captions.parse(i), pictures.objects(i)) for i in range(len(captions))]


def bound_objects(pictures, captions):
    """An object-level model: classes with their attributes, no relations."""
    return [
        fits(captions.parse(i), pictures.objects(i), relations=False) for i in range(len(captions))
    ]


def bags(pictures, captions):
    return (pictures.image @ np.ones((16, 22)) * captions.text).sum(axis=1)


def noise(scenes):
    """A number for each picture, and one for each caption, without any meaning."""
    views = scenes.pixels().reshape(len(scenes), -1) / 255, scenes.tokens
    return [np.sin(view @ np.sqrt(np.arange(1, view.shape[1] + 1))) for view in views]


def test_truth_and_its_opposite(probe):
    assert score_probe(probe, oracle) == (1.0, 1.0)
    assert score_probe(probe, lambda *pair: -np.array(oracle(*pair), float)) == (0.0, 1.0)


def test_bags_score_exactly_one_half(probe):
    assert score_probe(probe, bags, tol=0) == (0.5, 0.0)


def test_object_level_is_blind_to_relations(probe):
    expected = (1.0, 1.0) if probe.kind == "rebind" else (0.5, 0.0)
    assert score_probe(probe, bound_objects) == expected


@pytest.mark.parametrize("kind", ["swap", "rebind"])
def test_one_blind_side_scores_one_half(kind):
    """Whatever a model makes of pixels, with a bag of words beside it; and the other way round."""
    probe = make_probe(make_scenes(100, random_state=0), kind)

    def blind_to_order_of_words(pictures, captions):
        return noise(pictures)[0] * bags(pictures, captions)

    def blind_to_places(pictures, captions):
        return noise(captions)[1] * bags(pictures, captions)

    for score in (blind_to_order_of_words, blind_to_places):
        assert score_probe(probe, score) == (0.5, 0.5)


def by_hand(probe, table):
    """Score a probe of one scene with numbers from a table."""
    name = {id(probe.scenes): "a", id(probe.twins): "b"}
    return score_probe(probe, lambda p, c: [table[name[id(p)] + name[id(c)]]])


def test_scores_by_hand():
    one = make_scenes(1, random_state=0)
    for kind in ("swap", "rebind"):
        probe = make_probe(one, kind)
        # picture, caption. aa > ab won, bb < ba lost, aa > ba won, bb < ab lost
        assert by_hand(probe, {"aa": 4, "ab": 2, "ba": 3, "bb": 1}) == (0.5, 1.0)
        # aa = ab tie, bb > ba won, aa < ba lost, bb > ab won
        assert by_hand(probe, {"aa": 1, "ab": 1, "ba": 2, "bb": 3}) == (2.5 / 4, 0.75)
        assert by_hand(probe, {"aa": 1, "ab": 1 + 1e-9, "ba": 1 - 1e-9, "bb": 1}) == (0.5, 0.0)
        assert by_hand(probe, {"aa": 1, "ab": 0, "ba": 0, "bb": 1e-9}) == (0.75, 0.5)
        assert by_hand(probe, {"aa": 0, "ab": 0, "ba": 0, "bb": 0}) == (0.5, 0.0)
    move = make_probe(one, "move", random_state=0)
    assert by_hand(move, {"aa": 2, "ba": 1}) == (1.0, 1.0)
    assert by_hand(move, {"aa": 1, "ba": 2}) == (0.0, 1.0)
    assert by_hand(move, {"aa": -3, "ba": -3}) == (0.5, 0.0)


def test_probes_refuse():
    scenes = make_scenes(3, random_state=0)
    with pytest.raises(ValueError, match="kind must be one of 'swap', 'rebind', 'move', got 'mix'"):
        make_probe(scenes, "mix")
    probe = make_probe(scenes, "swap")
    for wrong in (np.zeros((3, 3)), np.zeros(2), 1.0, [1, np.nan, 2]):
        with pytest.raises(ValueError, match="score must return 3 finite numbers"):
            score_probe(probe, lambda p, c, wrong=wrong: wrong)


# Clips ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[(6, 2, 64), (12, 3, 64), (32, 5, 48)])
def clips(request):
    length, k, size = request.param
    return make_clips(90, length, k, picture_size=size, random_state=0)


def test_frames_differ_inside_the_interval_and_only_there(clips):
    lengths = set()
    for row, (start, stop) in enumerate(clips.intervals):
        frames = [np.asarray(frame).astype(int) for frame in clips.frames(row)]
        assert len(frames) == clips.boxes.shape[1]
        differs = [t for t in range(1, len(frames)) if (frames[t] != frames[t - 1]).any()]
        assert differs == list(range(start, stop))
        lengths.add(stop - start)
        assert clips.picture(row).tobytes() == clips.frames(row)[0].tobytes()
    longest = min(clips.boxes.shape[1] // 2, 8)
    assert lengths == set(range(2, longest + 1))


def test_intervals_reach_both_ends():
    intervals = make_clips(500, 12, random_state=0).intervals
    assert intervals[:, 0].min() == 1 and intervals[:, 1].max() == 12


def test_sentence_is_what_happens(clips):
    seen = set()
    for row, caption in enumerate(clips.captions):
        the, colour, shape, *event = caption.split()
        actor = clips.actors[row]
        assert the == "the" and COLOURS.index(colour) == clips.colours[row, actor]
        assert SHAPES.index(shape) == clips.classes[row, actor]
        assert " ".join(event) == EVENTS[clips.labels[row]]
        boxes = clips.boxes[row]
        others = np.delete(boxes, actor, axis=1)
        assert (others == others[0]).all(), "another object moves"
        assert (others[..., 2] > others[..., 0]).all()
        first, last = boxes[0, actor], boxes[-1, actor]
        there = first[2] > first[0], last[2] > last[0]
        shift = (last[:2] + last[2:] - first[:2] - first[2:]) / 2 * 3
        expected = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
        np.testing.assert_allclose(shift, expected.get(event[-1], (0, 0)), atol=1e-12)
        assert there == {"appears": (False, True), "disappears": (True, False)}.get(
            event[0], (True, True)
        )
        seen.add(" ".join(event))
    assert seen == set(EVENTS)


def test_progress_is_even(clips):
    for row, (start, stop) in enumerate(clips.intervals):
        boxes = clips.boxes[row, :, clips.actors[row]]
        steps = np.diff(boxes[start - 1 : stop], axis=0)
        np.testing.assert_allclose(steps, np.tile(steps[0], (len(steps), 1)), atol=1e-12)
        assert (boxes[:start] == boxes[0]).all() and (boxes[stop - 1 :] == boxes[-1]).all()


def test_objects_never_meet_on_the_way(clips):
    for row in range(len(clips)):
        for boxes in clips.boxes[row]:
            for a, b in combinations(boxes, 2):
                assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    assert (clips.boxes > 0).all() and (clips.boxes < 1).all()


def test_frame_features_by_object(clips):
    n, length, k = clips.boxes.shape[:3]
    features = clips.frame_features.reshape(n, length, 16, 3)
    used = np.zeros((n, 16), bool)
    full = (clips.boxes[..., 2] - clips.boxes[..., 0]).max(axis=1)
    for row in range(n):
        for j in range(k):
            box = clips.boxes[row, :, j]
            there = (box[:, 2] - box[:, 0]) / full[row, j]
            centre = (box[:, :2] + box[:, 2:]) / 2 * (there > 0)[:, None]
            truth = np.concatenate([there[:, None], centre], axis=1)
            for column in (clips.classes[row, j], 8 + clips.colours[row, j]):
                np.testing.assert_allclose(features[row, :, column], truth, atol=1e-12)
                used[row, column] = True
    assert (features.transpose(0, 2, 1, 3)[~used] == 0).all()
    ends = clips.frame_features[:, [0, -1]].reshape(n, -1)
    np.testing.assert_array_equal(clips.image, ends)


def test_clip_words(clips):
    names = (*COLOURS, *SHAPES, "moves", "left", "right", "up", "down", "appears", "disappears")
    for row, caption in enumerate(clips.captions):
        words = [
            VOCABULARY[i]
            for i, there in zip(clips.tokens[row], clips.token_mask[row], strict=True)
            if there
        ]
        assert " ".join(words) == caption
        assert clips.text[row].tolist() == [caption.split().count(name) for name in names]


def test_clips_follow_seed_and_rows():
    a, b, c = (make_clips(n, random_state=seed) for n, seed in ((40, 0), (12, 0), (40, 1)))
    same(a.take(range(12)), b, CLIP_ARRAYS)
    assert a.captions != c.captions
    _, part = a.split(test_size=0.5, random_state=0)
    assert type(part) is type(a) and repr(part) == "Clips(20 clips of 12 frames, 3 objects)"
    for row, item in enumerate(part.items):
        for name in CLIP_ARRAYS:
            np.testing.assert_array_equal(getattr(part, name)[row], getattr(a, name)[item])
        assert part.captions[row] == a.captions[item]
        for x, y in zip(part.frames(row), a.frames(item), strict=True):
            assert x.tobytes() == y.tobytes()
        assert part.picture(row).tobytes() == a.picture(item).tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clips": 0}, "n_clips must be a whole number, at least 1, got 0"),
        ({"n_frames": 5}, "n_frames must be a whole number, at least 6, got 5"),
        ({"n_frames": "12"}, "n_frames must be a whole number, at least 6, got '12'"),
        ({"n_objects": 7}, "n_objects must be a whole number, from 2 to 5, got 7"),
    ],
)
def test_bad_clip_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_clips(**arguments)
