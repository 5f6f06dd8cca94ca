"""Networks: the published shapes, no features without weights, and what each layer computes."""

import hashlib
import os

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cmrlib.features import cnn_features, networks
from cmrlib.features.networks import (
    VGG,
    AlexNet,
    BasicBlock,
    Bottleneck,
    ResNet,
    SmallCNN,
    build_network,
    convolve,
    convolve_backward,
    fetch_weights,
    im2col,
    measure_layers,
    network_features,
)

# What torchvision documents of its models: parameters, and billions of multiply-adds at 224 x 224.
DOCUMENTED = {
    "alexnet": (61_100_840, 0.71),
    "vgg16": (138_357_544, 15.47),
    "vgg19": (143_667_240, 19.63),
    "resnet18": (11_689_512, 1.81),
    "resnet50": (25_557_032, 4.09),
}


def on_meta(name):
    with torch.device("meta"):
        return build_network(name).eval()


def shapes(network):
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def with_biases(weights):
    return {
        name: shape
        for key, weight in weights.items()
        for name, shape in ((f"{key}.weight", weight), (f"{key}.bias", weight[:1]))
    }


def resnet_shapes(n_blocks, bottleneck):
    """Return the names and shapes of the published files, spelt out from the paper's table."""
    conv = {"conv1": (64, 3, 7, 7), "bn1": 64}
    channels_in = 64
    for stage, n in enumerate(n_blocks, start=1):
        c = 32 * 2**stage
        for b in range(n):
            block = f"layer{stage}.{b}"
            if bottleneck:
                plan = [(c, channels_in, 1, 1), (c, c, 3, 3), (4 * c, c, 1, 1)]
            else:
                plan = [(c, channels_in, 3, 3), (c, c, 3, 3)]
            for i, shape in enumerate(plan, start=1):
                conv[f"{block}.conv{i}"] = shape
                conv[f"{block}.bn{i}"] = shape[0]
            c_out = plan[-1][0]
            if channels_in != c_out:
                conv[f"{block}.downsample.0"] = (c_out, channels_in, 1, 1)
                conv[f"{block}.downsample.1"] = c_out
            channels_in = c_out
    expected = {}
    for key, shape in conv.items():
        expected[f"{key}.weight"] = shape if isinstance(shape, tuple) else (shape,)
        if not isinstance(shape, tuple):
            for part in ("bias", "running_mean", "running_var"):
                expected[f"{key}.{part}"] = (shape,)
            expected[f"{key}.num_batches_tracked"] = ()
    return expected | {"fc.weight": (1000, channels_in), "fc.bias": (1000,)}


def vgg_shapes(places, filters):
    inputs = [3, *filters[:-1]]
    weights = {
        f"features.{place}": (m, c, 3, 3)
        for place, m, c in zip(places, filters, inputs, strict=True)
    }
    classifier = {"0": (4096, 25088), "3": (4096, 4096), "6": (1000, 4096)}
    return with_biases(weights | {f"classifier.{i}": shape for i, shape in classifier.items()})


PUBLISHED_SHAPES = {
    "alexnet": with_biases(
        {
            "features.0": (64, 3, 11, 11),
            "features.3": (192, 64, 5, 5),
            "features.6": (384, 192, 3, 3),
            "features.8": (256, 384, 3, 3),
            "features.10": (256, 256, 3, 3),
            "classifier.1": (4096, 9216),
            "classifier.4": (4096, 4096),
            "classifier.6": (1000, 4096),
        }
    ),
    "vgg16": vgg_shapes(
        [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
        [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512],
    ),
    "vgg19": vgg_shapes(
        [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
        [64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512],
    ),
    "resnet18": resnet_shapes((2, 2, 2, 2), bottleneck=False),
    "resnet50": resnet_shapes((3, 4, 6, 3), bottleneck=True),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_parameters_have_the_published_names_and_shapes(name):
    assert shapes(on_meta(name)) == PUBLISHED_SHAPES[name]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_counts_are_the_documented_ones(name):
    network = on_meta(name)
    n_parameters, giga = DOCUMENTED[name]
    assert sum(p.numel() for p in network.parameters()) == n_parameters
    layers = measure_layers(network)
    assert round(sum(layer.multiply_adds for layer in layers) / 1e9, 2) == giga
    own = sum(p.numel() for key, p in network.named_parameters() if "bn" not in key)
    norms = sum(p.numel() for key, p in network.named_parameters() if "downsample.1" in key)
    assert sum(layer.n_parameters for layer in layers) == own - norms


@pytest.mark.parametrize("name", DOCUMENTED)
def test_multiply_adds_are_half_of_what_torch_counts_as_operations(name):
    network = on_meta(name)
    counter = FlopCounterMode(display=False)
    with counter:
        network(torch.zeros(1, 3, 224, 224, device="meta"))
    layers = measure_layers(network)
    assert 2 * sum(layer.multiply_adds for layer in layers) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("alexnet", [55, 27, 13, 13, 13]),
        ("vgg16", [224] * 2 + [112] * 2 + [56] * 3 + [28] * 3 + [14] * 3),
        ("vgg19", [224] * 2 + [112] * 2 + [56] * 4 + [28] * 4 + [14] * 4),
        ("resnet18", [112] + [56] * 4 + [28] * 5 + [14] * 5 + [7] * 5),
        # the first 1 x 1 convolution of a stage still has the larger maps
        ("resnet50", [112] + [56] * 11 + [28] * 13 + [14] * 19 + [7] * 9),
    ],
)
def test_sides_of_the_maps(name, sides):
    layers = measure_layers(on_meta(name))
    assert sorted((x.shape[1] for x in layers if len(x.shape) == 3), reverse=True) == sides


@pytest.mark.parametrize(
    ("name", "width"), [("alexnet", 4096), ("vgg16", 4096), ("resnet18", 512), ("resnet50", 2048)]
)
def test_width_is_that_of_the_embedding(name, width):
    network = on_meta(name)
    assert network.width == width
    assert network.embed(torch.zeros(2, 3, 224, 224, device="meta")).shape == (2, width)


def test_layers_between_the_convolutions():
    """Names and shapes cannot tell a ReLU left out, or an average for a maximum."""
    kinds = {nn.Conv2d: "c", nn.ReLU: "r", nn.MaxPool2d: "m", nn.Linear: "l", nn.Dropout: "d"}

    def spell(layers):
        return "".join(kinds[type(layer)] for layer in layers)

    alexnet, vgg = on_meta("alexnet"), on_meta("vgg16")
    assert spell(alexnet.features) == "crmcrmcrcrcrm"
    assert spell(alexnet.classifier) == "dlrdlrl"
    pools = [layer for layer in alexnet.features if isinstance(layer, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3  # they overlap
    assert spell(vgg.features) == "crcrmcrcrmcrcrcrmcrcrcrmcrcrcrm"
    assert spell(vgg.classifier) == "lrdlrdl"


@pytest.mark.parametrize("plan", ["dlrdlrl", "lrdlrdl"])
def test_fc7_is_taken_after_its_relu(plan):
    torch.manual_seed(0)
    sizes = iter([(12, 5), (5, 4), (4, 3)])
    make = {"l": lambda: nn.Linear(*next(sizes)), "r": nn.ReLU, "d": nn.Dropout}
    with torch.device("meta"):
        network = AlexNet()
    network.features, network.classifier = nn.Identity(), nn.Sequential(*(make[c]() for c in plan))
    network.eval()
    x = torch.randn(6, 3, 2, 2)
    first, second, last = (m for m in network.classifier if isinstance(m, nn.Linear))
    fc7 = second(first(x.flatten(1)).clamp(min=0)).clamp(min=0)
    assert (fc7 == 0).any()
    torch.testing.assert_close(network.embed(x), fc7)
    torch.testing.assert_close(network(x), last(fc7))


def resnet_by_hand(state, x, n_blocks):
    """Run a ResNet from the names in its weight file, with the stride where the file had it."""

    def norm(x, name):
        values = (state[f"{name}.{part}"] for part in ("running_mean", "running_var"))
        return F.batch_norm(x, *values, state[f"{name}.weight"], state[f"{name}.bias"])

    x = F.conv2d(x, state["conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(norm(x, "bn1").clamp(min=0), 3, 2, 1)
    for stage, n in enumerate(n_blocks, start=1):
        for b in range(n):
            name, y = f"layer{stage}.{b}", x
            stride = 2 if stage > 1 and b == 0 else 1
            n_convolutions = 3 if f"{name}.conv3.weight" in state else 2
            for i in range(1, n_convolutions + 1):
                weight = state[f"{name}.conv{i}.weight"]
                here = stride if i == n_convolutions - 1 else 1  # 1st of two, 2nd of three
                y = F.conv2d(y, weight, stride=here, padding=weight.shape[-1] // 2)
                y = norm(y, f"{name}.bn{i}")
                y = y.clamp(min=0) if i < n_convolutions else y
            if f"{name}.downsample.0.weight" in state:
                x = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
                x = norm(x, f"{name}.downsample.1")
            x = (x + y).clamp(min=0)
    features = x.mean(dim=(2, 3))
    return features, features @ state["fc.weight"].T + state["fc.bias"]


@pytest.mark.parametrize(("depth", "n_blocks"), [(18, (2, 2, 2, 2)), (50, (3, 4, 6, 3))])
def test_resnet_computes_what_its_weight_file_says(depth, n_blocks):
    torch.manual_seed(0)
    network = ResNet(depth).eval()
    for key, value in network.state_dict().items():
        if key.endswith(("running_var", "bn1.weight")):
            value.uniform_(0.5, 2)
        if key.endswith(("running_mean", "bn1.bias")):
            value.normal_(std=0.1)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        features, scores = resnet_by_hand(network.state_dict(), x, n_blocks)
        torch.testing.assert_close(network.embed(x), features, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network(x), scores, rtol=1e-4, atol=1e-5)
    assert features.shape == (2, network.width)


# Weights: found, fetched, verified, and never made up.


@pytest.fixture(scope="module")
def resnet18_state():
    torch.manual_seed(0)
    return ResNet(18).state_dict()


@pytest.fixture(scope="module")
def resnet18_file(tmp_path_factory, resnet18_state):
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(resnet18_state, path)
    return path


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CMRLIB_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", DOCUMENTED)
def test_without_weights_it_says_where_to_get_them(home, pictures, name):
    with pytest.raises(FileNotFoundError) as info:
        network_features(pictures, name)
    message = str(info.value)
    published = networks._PUBLISHED[name]
    assert f"there are no weights of {name} at {home / 'weights' / published.file}" in message
    assert f"cmrlib.features.fetch_weights('{name}'), {published.megabytes} MB" in message
    assert f"https://download.pytorch.org/models/{published.file}" in message
    assert published.sha256[:8] in published.file
    assert set(published.sha256) <= set("0123456789abcdef")


def test_features_of_a_file_are_those_of_its_network(resnet18_state, resnet18_file, pictures):
    features = network_features(pictures, "resnet18", weights=resnet18_file)
    assert features.shape == (3, 512) and features.dtype == np.float32
    batch = []
    for picture in pictures:
        values = np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC)) / 255
        batch.append((values - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225])
    network = ResNet(18).eval()
    network.load_state_dict(resnet18_state)
    with torch.inference_mode():
        x = torch.tensor(np.stack(batch).transpose(0, 3, 1, 2), dtype=torch.float32)
        expected = network.embed(x).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
    alone = network_features(pictures[1:], "resnet18", weights=resnet18_file, batch_size=1)
    np.testing.assert_allclose(alone, features[1:], rtol=1e-4, atol=1e-5)
    assert network_features([], "resnet18", weights=resnet18_file).shape == (0, 512)


def test_old_files_without_batch_counts_are_accepted(resnet18_state, resnet18_file, tmp_path):
    old = {k: v.half() for k, v in resnet18_state.items() if "num_batches_tracked" not in k}
    torch.save(old, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    picture = [Image.new("RGB", (10, 10), "red")]
    got, expected = (
        network_features(picture, "resnet18", weights=path)
        for path in (tmp_path / "old.pth", resnet18_file)
    )
    np.testing.assert_allclose(got, expected, rtol=0.05, atol=0.01)  # half precision


def test_a_file_that_changed_is_read_again(resnet18_state, tmp_path, pictures):
    path = tmp_path / "mine.pth"
    torch.save(resnet18_state, path)
    before = network_features(pictures[:1], "resnet18", weights=path)
    torch.save({k: v * 0 for k, v in resnet18_state.items()}, path)
    os.utime(path, ns=(0, 0))
    assert before.any() and not network_features(pictures[:1], "resnet18", weights=path).any()


def publish(monkeypatch, content, digits=64, name="resnet18"):
    """Let `content` be what is published as the weights of a network."""
    sha256 = hashlib.sha256(content).hexdigest()[:digits]
    entry = networks._PUBLISHED[name]._replace(sha256=sha256)
    monkeypatch.setitem(networks._PUBLISHED, name, entry)
    return entry


def test_published_file_is_verified_before_it_is_read(monkeypatch, home, resnet18_file, pictures):
    content = resnet18_file.read_bytes()
    (home / "weights").mkdir()
    place = home / "weights" / networks._PUBLISHED["resnet18"].file
    place.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or another file.*delete it and fetch it"):
        network_features(pictures[:1], "resnet18")
    publish(monkeypatch, content)
    features = network_features(pictures[:1], "resnet18")
    same = network_features(pictures[:1], "resnet18", weights=resnet18_file)
    np.testing.assert_array_equal(features, same)


def test_weights_are_fetched_once_and_verified(monkeypatch, home, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(networks, "_SITE", site.as_uri() + "/")
    entry = publish(monkeypatch, b"weights", digits=8)
    (site / entry.file).write_bytes(b"weights")
    path = fetch_weights("resnet18")
    assert path == home / "weights" / entry.file and path.read_bytes() == b"weights"
    (site / entry.file).unlink()
    assert fetch_weights("resnet18") == path
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="is damaged or another file"):
        fetch_weights("resnet18")


def test_a_download_that_fails_leaves_nothing(monkeypatch, home, tmp_path, capfd):
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(networks, "_SITE", site.as_uri() + "/")
    entry = publish(monkeypatch, b"weights")
    with pytest.raises(OSError, match="cannot download .* fetch it yourself and put it in"):
        fetch_weights("resnet18")
    (site / entry.file).write_bytes(b"other")
    with pytest.raises(ValueError, match="is not the published file: its sha256 does not begin"):
        fetch_weights("resnet18")
    assert list((home / "weights").iterdir()) == []
    assert capfd.readouterr() == ("", "")


class Evil:
    """Pickled, it makes a folder where it is read."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_file_cannot_run_code(tmp_path, pictures):
    torch.save({"conv1.weight": Evil(tmp_path / "evil")}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth does not hold the weights of resnet18"):
        network_features(pictures, "resnet18", weights=tmp_path / "other.pth")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("change", ["missing", "more", "shape"])
def test_file_with_other_weights_is_refused(tmp_path, resnet18_state, pictures, change):
    state = dict(resnet18_state)
    if change == "missing":
        del state["layer4.1.conv2.weight"]
    else:
        state["fc.bias" if change == "shape" else "fc2.bias"] = torch.zeros(10)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth does not hold the weights of resnet18"):
        network_features(pictures, "resnet18", weights=tmp_path / "other.pth")


def test_weights_of_another_network_are_refused(resnet18_file, pictures):
    with pytest.raises(ValueError, match="does not hold the weights of resnet50: .*layer1.0.conv"):
        network_features(pictures, "resnet50", weights=resnet18_file)


def test_unknown_network_is_refused(pictures):
    known = "alexnet, vgg16, vgg19, resnet18, resnet50, efficientnet-lite0"
    with pytest.raises(ValueError, match=f"network must be one of {known}, got 'lenet'"):
        network_features(pictures, "lenet")


def test_efficientnet_goes_through_the_same_door(pictures):
    np.testing.assert_array_equal(network_features(pictures), cnn_features(pictures))
    with pytest.raises(ValueError, match="efficientnet-lite0 brings its own weights"):
        network_features(pictures, weights="mine.pth")


def test_a_bad_picture_is_named(resnet18_file, pictures, tmp_path):
    with pytest.raises(TypeError, match="picture 1: a picture must be a PIL image, got str"):
        network_features([pictures[0], "cat.png"], "resnet18", weights=resnet18_file)
    pictures[0].save(tmp_path / "cut.png")
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with (
        Image.open(tmp_path / "cut.png") as cut,
        pytest.raises(OSError, match="picture 0: .*trunc"),
    ):
        network_features([cut], "resnet18", weights=resnet18_file)


# What a layer computes.


@pytest.mark.parametrize("side", [1, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_convolution_and_its_gradients_are_those_of_torch(side, stride, padding):
    rng = np.random.default_rng(0)
    maps, filters = rng.normal(size=(2, 7, 9)), rng.normal(size=(5, 2, side, side))
    x, w = (torch.tensor(a, requires_grad=True) for a in (maps, filters))
    expected = F.conv2d(x[None], w, stride=stride, padding=padding)[0]
    got = convolve(maps, filters, stride, padding)
    np.testing.assert_allclose(got, expected.detach(), atol=1e-12)
    gradient = rng.normal(size=got.shape)
    expected.backward(torch.tensor(gradient))
    in_maps, in_filters = convolve_backward(maps, filters, gradient, stride, padding)
    np.testing.assert_allclose(in_maps, x.grad, atol=1e-12)
    np.testing.assert_allclose(in_filters, w.grad, atol=1e-12)


def test_gradients_agree_with_finite_differences():
    rng = np.random.default_rng(1)
    maps, filters = rng.normal(size=(2, 6, 5)), rng.normal(size=(3, 2, 3, 3))
    target = rng.normal(size=(3, 3, 3))

    def loss(maps, filters):
        return 0.5 * np.sum((convolve(maps, filters, 2, 1) - target) ** 2)

    gradients = convolve_backward(maps, filters, convolve(maps, filters, 2, 1) - target, 2, 1)
    for which, gradient in enumerate(gradients):
        numerical = np.zeros_like(gradient)
        for place in np.ndindex(gradient.shape):
            values = []
            for step in (1e-5, -1e-5):
                arrays = [maps.copy(), filters.copy()]
                arrays[which][place] += step
                values.append(loss(*arrays))
            numerical[place] = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-8)


def test_columns_are_the_windows():
    maps = np.arange(18.0).reshape(2, 3, 3)
    # four windows of 2 x 2; the first column holds 0 1 / 3 4 of map 0, then 9 10 / 12 13 of map 1
    assert im2col(maps, 2).T.tolist() == [
        [0, 1, 3, 4, 9, 10, 12, 13],
        [1, 2, 4, 5, 10, 11, 13, 14],
        [3, 4, 6, 7, 12, 13, 15, 16],
        [4, 5, 7, 8, 13, 14, 16, 17],
    ]


def test_convolution_moves_with_the_picture():
    rng = np.random.default_rng(0)
    picture, filters = np.zeros((3, 24, 24)), rng.normal(size=(4, 3, 3, 3))
    picture[:, 8:14, 8:14] = rng.normal(size=(3, 6, 6))  # wide margins, so that nothing is cut off
    moved = np.roll(picture, (4, 2), axis=(1, 2))
    still = convolve(picture, filters)
    np.testing.assert_allclose(convolve(moved, filters), np.roll(still, (4, 2), axis=(1, 2)))
    strided = convolve(picture, filters, stride=2)
    np.testing.assert_allclose(
        convolve(moved, filters, stride=2), np.roll(strided, (2, 1), axis=(1, 2))
    )
    odd = convolve(np.roll(picture, 1, axis=2), filters, stride=2)
    assert np.abs(np.sort(odd, axis=None) - np.sort(strided, axis=None)).max() > 0.1


@pytest.mark.parametrize(("block", "last"), [(BasicBlock, "bn2"), (Bottleneck, "bn3")])
def test_block_whose_residual_is_zero_is_the_identity(block, last):
    torch.manual_seed(0)
    unit = block(8 * block.expansion, 8).eval()
    x = torch.rand(2, 8 * block.expansion, 5, 5)  # not negative, as after a ReLU
    assert not torch.equal(unit(x), x)
    torch.testing.assert_close(unit(x), (unit.residual(x) + x).clamp(min=0))
    nn.init.zeros_(getattr(unit, last).weight)
    assert torch.equal(unit(x), x)


def gradient_of_first_layer(forward, blocks):
    x = torch.rand(1, 4, 8, 8, dtype=torch.float64)
    for block in blocks:
        x = forward(block, x)
    x.sum().backward()
    gradient = blocks[0].conv1.weight.grad.norm().item()
    for block in blocks:
        block.zero_grad()
    return gradient


def test_gradient_reaches_the_first_of_fifty_layers_through_shortcuts_alone():
    torch.manual_seed(0)
    blocks = [BasicBlock(4, 4).double().eval() for _ in range(25)]
    plain = gradient_of_first_layer(lambda block, x: F.relu(block.residual(x)), blocks)
    residual = gradient_of_first_layer(lambda block, x: block(x), blocks)
    assert plain < 1e-10 < 1e-2 < residual


def test_two_small_filters_see_as_far_as_one_large():
    with torch.device("meta"):
        first = VGG(16).features[:4]  # convolution, ReLU, convolution, ReLU
    pair = first.to_empty(device="cpu")
    for p in pair.parameters():
        nn.init.constant_(p, 0.01)
    x = torch.rand(1, 3, 11, 11, requires_grad=True)
    pair(x)[0, 0, 5, 5].backward()
    seen = x.grad[0, 0] != 0
    expected = torch.zeros(11, 11, dtype=torch.bool)
    expected[3:8, 3:8] = True
    assert torch.equal(seen, expected)
    c = 64
    two = 2 * nn.Conv2d(c, c, 3, bias=False).weight.numel()
    one = nn.Conv2d(c, c, 5, bias=False).weight.numel()
    assert two * 25 == one * 18


# The network trained here.


def stripes(n=150, seed=0):
    """Return noisy pictures of 16 x 16 with level, upright or no stripes, and their classes."""
    rng = np.random.default_rng(seed)
    wave = np.broadcast_to(np.sin(1.5 * np.arange(16))[:, None], (16, 16))
    kinds = np.stack([wave, wave.T, 0 * wave])
    y = rng.integers(0, 3, n)
    X = kinds[y][:, None] + rng.normal(size=(n, 3, 16, 16))
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def trained():
    X, y = stripes()
    settings = {"channels": (6, 8, 10), "batch_size": 16, "max_epochs": 12, "patience": 3}
    return SmallCNN(**settings, random_state=3).fit(X, y), X, y, settings


def test_it_learns_what_labels_tell(trained):
    model = trained[0]
    X, y = stripes(seed=1)
    assert np.mean(model.predict(X) == y) > 0.9
    permuted = np.random.default_rng(0).permutation(trained[2])
    chance = SmallCNN(**trained[3]).fit(trained[1], permuted).predict(X)
    assert np.mean(chance == y) < 0.6


def set_aside(y, seed):
    return train_test_split(np.arange(len(y)), test_size=0.15, random_state=seed, stratify=y)[1]


def test_it_stops_when_patience_is_over_and_keeps_the_best_epoch():
    X, y = stripes(90)
    labels = np.random.default_rng(0).permutation(y)  # nothing to learn, so it soon overfits
    model = SmallCNN((4, 4, 4), batch_size=16, max_epochs=40, patience=2, random_state=1)
    losses = model.fit(X, labels).history_["validation"]
    assert model.best_epoch_ == int(np.argmin(losses))
    assert len(losses) == len(model.history_["train"]) == model.best_epoch_ + 1 + 2 < 40
    held_out = set_aside(labels, 1)
    with torch.inference_mode():
        scores = model.network_(torch.from_numpy(X[held_out]))
    loss = F.cross_entropy(scores, torch.from_numpy(labels[held_out])).item()
    np.testing.assert_allclose(loss, min(losses), rtol=1e-5)
    accuracy = np.mean(model.predict(X[held_out]) == labels[held_out])
    np.testing.assert_allclose(accuracy, model.history_["accuracy"][model.best_epoch_])


def test_pictures_set_aside_do_not_train(trained):
    model, X, y, settings = trained
    held_out = set_aside(y, 3)
    changed = X.copy()
    changed[held_out] += 1
    other = SmallCNN(**(settings | {"max_epochs": 2}), random_state=3).fit(changed, y)
    assert other.history_["train"] == model.history_["train"][:2]
    assert other.history_["validation"] != model.history_["validation"][:2]


def test_seed_decides_everything(trained):
    model, X, y, settings = trained
    state = torch.get_rng_state()
    short = settings | {"max_epochs": 1}
    torch.manual_seed(99)
    again, other = (SmallCNN(**short, random_state=s).fit(X, y) for s in (3, 4))
    assert again.history_["train"] == model.history_["train"][:1]
    assert other.history_["train"] != again.history_["train"]
    torch.manual_seed(99)
    expected = torch.get_rng_state()
    SmallCNN(**short).fit(X, y)
    assert torch.equal(torch.get_rng_state(), expected)  # the caller's generator is left alone
    torch.set_rng_state(state)


def test_features_are_what_the_last_layer_sees(trained):
    model, X, _, _ = trained
    features = model.transform(X)
    assert features.shape == (150, 10)
    with torch.inference_mode():
        scores = model.network_[-1](torch.from_numpy(features)).numpy()
    np.testing.assert_array_equal(scores.argmax(axis=1), model.predict(X))
    np.testing.assert_allclose(model.transform(X[7:8])[0], features[7], atol=1e-5)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((6, 16, 16, 3)), np.zeros(6, int), r"shape \(n, 3, height, width\)"),
        (np.full((6, 3, 16, 16), np.nan), np.zeros(6, int), "NaN or infinity"),
        (np.zeros((6, 3, 16, 16)), np.zeros(5, int), "6 class numbers from 0"),
        (np.zeros((6, 3, 16, 16)), np.zeros(6), "got shape \\(6,\\) of float64"),
        (np.zeros((6, 3, 16, 16)), np.full(6, -1), "class numbers from 0"),
    ],
)
def test_bad_training_data_is_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        SmallCNN().fit(X, y)


def test_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="batch_size == 1, must be >= 2"):
        SmallCNN(batch_size=1).fit(*stripes(30))
