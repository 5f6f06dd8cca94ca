"""Convolutional networks: AlexNet, VGG, ResNet with published weights, and one to train here."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from cmrlib.datasets._download import data_home
from cmrlib.features.image import cnn_features, pixels

Array = NDArray[Any]

EFFICIENTNET = "efficientnet-lite0"
_LAYOUT = torch.channels_last  # how maps lie in memory; a fifth to a third faster on a CPU
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)


class _Stack(nn.Module):
    """Convolutions, then three fully connected layers, as in AlexNet and VGG."""

    width = 4096
    features: nn.Sequential
    classifier: nn.Sequential

    def embed(self, x: Tensor) -> Tensor:
        """Return what the last layer sees, fc7 after its ReLU: (n, 4096)."""
        embedded: Tensor = self.classifier[:-1](self.features(x).flatten(1))
        return embedded

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores (n, n_classes) of pictures (n, 3, 224, 224)."""
        scores: Tensor = self.classifier[-1](self.embed(x))
        return scores


class AlexNet(_Stack):
    """AlexNet in one column: five convolutions and three fully connected layers [1]_.

    Maps of 224 x 224 pictures have side 55, 27, 13 and 6. The network of 2012 [2]_ had 96, 256,
    384, 384 and 256 filters, in two columns for two GPUs, and normalised neighbouring maps. The
    weights published for torchvision are of the author's later form in one column, with 64, 192,
    384, 256 and 256 filters, and without that normalisation; so is this class.

    Parameters
    ----------
    n_classes : int, default=1000

    References
    ----------
    .. [1] A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
       arXiv:1404.5997 (2014).
    .. [2] A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep
       convolutional neural networks", NIPS (2012).
    """

    def __init__(self, n_classes: int = 1000) -> None:
        super().__init__()
        # filters, side, stride, padding; and whether a 3 x 3 maximum with stride 2 follows
        plan = [
            (64, 11, 4, 2, True),
            (192, 5, 1, 2, True),
            (384, 3, 1, 1, False),
            (256, 3, 1, 1, False),
            (256, 3, 1, 1, True),
        ]
        layers: list[nn.Module] = []
        channels = 3
        for filters, side, stride, padding, shrink in plan:
            layers += [nn.Conv2d(channels, filters, side, stride, padding), nn.ReLU()]
            layers += [nn.MaxPool2d(3, stride=2)] if shrink else []
            channels = filters
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            *(nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU()),
            *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
            nn.Linear(4096, n_classes),
        )


class VGG(_Stack):
    """VGG-16 or VGG-19: 3 x 3 convolutions only, in five stages that each halve the maps.

    Parameters
    ----------
    depth : {16, 19}
        Layers with weights.
    n_classes : int, default=1000

    References
    ----------
    K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale image
    recognition", ICLR (2015): configurations D and E.
    """

    STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

    def __init__(self, depth: int = 16, n_classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for n_layers, filters in zip(self.STAGES[depth], (64, 128, 256, 512, 512), strict=True):
            for _ in range(n_layers):
                layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
                channels = filters
            layers += [nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
            nn.Linear(4096, n_classes),
        )


class _Block(nn.Module):
    """y = ReLU(F(x) + x): what is learned is the difference from the identity.

    Where the shape changes, a strided 1 x 1 convolution fits x to it.
    """

    expansion: int

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self._build(channels_in, channels, stride)
        channels_out = self.expansion * channels
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def _build(self, channels_in: int, channels: int, stride: int) -> None:
        raise NotImplementedError

    def residual(self, x: Tensor) -> Tensor:
        """Return F(x)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.residual(x) + shortcut)


class BasicBlock(_Block):
    """The residual block of ResNet-18: F is two 3 x 3 convolutions."""

    expansion = 1

    def _build(self, channels_in: int, channels: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def residual(self, x: Tensor) -> Tensor:
        """Return F(x)."""
        x = F.relu(self.bn1(self.conv1(x)))
        output: Tensor = self.bn2(self.conv2(x))
        return output


class Bottleneck(_Block):
    """The residual block of ResNet-50: 1 x 1 to fewer maps, 3 x 3 there, 1 x 1 to four times more.

    The paper has the stride in the first 1 x 1 convolution; the published weights were trained
    with it in the 3 x 3 one, and so it is here.
    """

    expansion = 4

    def _build(self, channels_in: int, channels: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)

    def residual(self, x: Tensor) -> Tensor:
        """Return F(x)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        output: Tensor = self.bn3(self.conv3(x))
        return output


class ResNet(nn.Module):
    """ResNet-18 or ResNet-50: a first convolution, then four stages of residual blocks.

    Parameters
    ----------
    depth : {18, 50}
        Layers with weights.
    n_classes : int, default=1000

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR
    (2016).
    """

    STAGES: dict[int, tuple[type[_Block], tuple[int, int, int, int]]] = {
        18: (BasicBlock, (2, 2, 2, 2)),
        50: (Bottleneck, (3, 4, 6, 3)),
    }

    def __init__(self, depth: int = 18, n_classes: int = 1000) -> None:
        super().__init__()
        block, (n1, n2, n3, n4) = self.STAGES[depth]
        e = block.expansion
        self.width = 512 * e
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._stage(block, n1, 64, 64, stride=1)
        self.layer2 = self._stage(block, n2, 64 * e, 128, stride=2)
        self.layer3 = self._stage(block, n3, 128 * e, 256, stride=2)
        self.layer4 = self._stage(block, n4, 256 * e, 512, stride=2)
        self.fc = nn.Linear(self.width, n_classes)

    @staticmethod
    def _stage(
        block: type[_Block], n_blocks: int, channels_in: int, channels: int, stride: int
    ) -> nn.Sequential:
        first = block(channels_in, channels, stride)
        rest = [block(block.expansion * channels, channels) for _ in range(n_blocks - 1)]
        return nn.Sequential(first, *rest)

    def embed(self, x: Tensor) -> Tensor:
        """Return the mean over space of the last maps: (n, 512) or (n, 2048)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores (n, n_classes) of pictures (n, 3, height, width)."""
        scores: Tensor = self.fc(self.embed(x))
        return scores


_SITE = "https://download.pytorch.org/models/"


class _Published(NamedTuple):
    """A network and the weight file published for it."""

    build: Callable[[], Any]
    file: str
    sha256: str  # as many of its 64 digits as are known
    megabytes: int

    @property
    def url(self) -> str:
        return _SITE + self.file


# The first eight digits of each SHA-256 are part of torchvision's file names. The others were found
# alike in several public records; none was found for VGG-19.
_PUBLISHED = {
    "alexnet": _Published(
        AlexNet,
        "alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        244,
    ),
    "vgg16": _Published(
        partial(VGG, 16),
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553,
    ),
    "vgg19": _Published(partial(VGG, 19), "vgg19-dcbb9e9d.pth", "dcbb9e9d", 575),
    "resnet18": _Published(
        partial(ResNet, 18),
        "resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        47,
    ),
    "resnet50": _Published(
        partial(ResNet, 50),
        "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        103,
    ),
}
NETWORKS = (*_PUBLISHED, EFFICIENTNET)


def build_network(network: str) -> Any:
    """Return one of the networks with random weights, to look at its architecture.

    Parameters
    ----------
    network : {"alexnet", "vgg16", "vgg19", "resnet18", "resnet50"}

    Returns
    -------
    torch.nn.Module
        With ``embed`` and ``width``. Names and shapes of its parameters are those of the weight
        files published for torchvision. Built under ``with torch.device("meta")`` it takes no
        memory.
    """
    return _published(network).build()


def fetch_weights(
    network: str, data_folder: str | Path | None = None, *, verbose: bool = False
) -> Path:
    """Download the ImageNet weights published for torchvision, unless they are there already.

    Parameters
    ----------
    network : {"alexnet", "vgg16", "vgg19", "resnet18", "resnet50"}
        47 MB for "resnet18", up to 575 MB for "vgg19".
    data_folder : path, optional
        The file goes to its subfolder ``weights``; $CMRLIB_DATA by default, or else
        ~/.cache/cmrlib.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    Path
        The verified file.

    Raises
    ------
    OSError
        If the file cannot be downloaded; the message says where to put it.
    ValueError
        If its SHA-256 is not the published one. For "vgg19" only the first eight digits are
        known, which reveal damage but not every forgery; weights are read as tensors only, so no
        file can run code.
    """
    published = _published(network)
    path = _weights_path(network, data_folder)
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                published.url, str(path), hash_prefix=published.sha256, progress=verbose
            )
        except RuntimeError as error:
            raise ValueError(
                f"what came from {published.url} is not the published file: its sha256 does not "
                f"begin with {published.sha256}; try again."
            ) from error
        except OSError as error:
            raise OSError(
                f"cannot download {published.url} ({error}); fetch it yourself and put it in "
                f"{path.parent}."
            ) from error
    return _verified(path, published.sha256)


def network_features(
    pictures: Sequence[Image.Image],
    network: str = EFFICIENTNET,
    *,
    weights: str | Path | None = None,
    batch_size: int = 8,
    device: str = "cpu",
    verbose: bool = False,
) -> NDArray[np.float32]:
    """Describe pictures by a network trained for ImageNet classification.

    Parameters
    ----------
    pictures : sequence of n PIL images
        Any size and mode.
    network : {"efficientnet-lite0", "alexnet", "vgg16", "vgg19", "resnet18", "resnet50"}
    weights : path, optional
        Not for "efficientnet-lite0", whose weights come with its package. By default the file
        that :func:`fetch_weights` downloads, verified; or your own file with the same names and
        shapes, such as one trained further.
    batch_size : int, default=8
    device : str, default="cpu"
        Torch device.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n, width)
        The mean of the last maps of "efficientnet-lite0" (1280), "resnet18" (512) and "resnet50"
        (2048); layer fc7 after its ReLU of "alexnet" and the VGGs (4096).

    Raises
    ------
    FileNotFoundError
        If there are no weights; features are never made from random ones.
    ValueError
        If the network is unknown, or the file holds other weights.
    TypeError, ValueError, OSError
        If a picture is no PIL image or cannot be read; the message gives its number.

    Notes
    -----
    Transparent parts become white. The whole picture is resized to 224 x 224, for all networks
    alike; bytes are divided by 255 and standardised with the means and standard deviations of
    ImageNet (:func:`cmrlib.features.image.pixels` says how for "efficientnet-lite0"). The
    published accuracies are measured on a centre crop of 224 from a picture whose shorter side is
    256; a crop would cut the rim off a drawing.
    """
    if network == EFFICIENTNET:
        if weights is not None:
            raise ValueError(f"{EFFICIENTNET} brings its own weights; leave out `weights`.")
        return cnn_features(pictures, batch_size=batch_size, device=device, verbose=verbose)
    model = _network(network, weights, device)
    features = np.empty((len(pictures), model.width), np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(pictures), batch_size), disable=not verbose, unit="batch"):
            stop = min(start + batch_size, len(pictures))
            batch = np.stack([_standardised(pictures, i) for i in range(start, stop)])
            x = torch.from_numpy(batch).to(device, memory_format=_LAYOUT)
            features[start:stop] = model.embed(x).cpu().numpy()
    return features


def _published(network: str) -> _Published:
    if network not in _PUBLISHED:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {network!r}.")
    return _PUBLISHED[network]


def _weights_path(network: str, data_folder: str | Path | None = None) -> Path:
    return Path(data_folder or data_home()) / "weights" / _published(network).file


def _verified(path: Path, sha256: str) -> Path:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(sha256):
        raise ValueError(
            f"{path} is damaged or another file (sha256 {digest}, expected {sha256}); delete it "
            "and fetch it again."
        )
    return path


def _network(network: str, weights: str | Path | None, device: str) -> Any:
    """Return the network with the published weights or those of a file, in evaluation mode."""
    path = _weights_path(network) if weights is None else Path(weights)
    if not path.exists():
        published = _published(network)
        raise FileNotFoundError(
            f"there are no weights of {network} at {path}; download them with "
            f"cmrlib.features.fetch_weights({network!r}), {published.megabytes} MB, or fetch "
            f"{published.url} yourself and put it there."
        )
    return _load(network, path, path.stat().st_mtime_ns, weights is None, device)


@lru_cache(maxsize=1)  # one network at a time, since VGG-19 fills 0.6 GB
def _load(network: str, path: Path, changed: int, verify: bool, device: str) -> Any:
    published = _published(network)
    if verify:
        _verified(path, published.sha256)
    with torch.device("meta"):  # no numbers yet, so that none can be left at random
        model = published.build()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state, assign=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{path} does not hold the weights of {network}: {reason}.") from error
    return model.to(device=device, dtype=torch.float32, memory_format=_LAYOUT).eval()


def _standardised(pictures: Sequence[Image.Image], i: int) -> NDArray[np.float32]:
    """Return picture i as the networks want it: (3, 224, 224), standardised by channel."""
    try:
        values = pixels(pictures[i]) * 128 + 127  # bytes again, exactly
    except (TypeError, ValueError, OSError) as error:
        raise type(error)(f"picture {i}: {error}") from error
    return ((values / np.float32(255) - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32)


class Layer(NamedTuple):
    """What one convolution or fully connected layer makes of one picture, and at what price."""

    name: str
    shape: tuple[int, ...]
    n_parameters: int
    multiply_adds: int


def measure_layers(network: nn.Module, size: int = 224) -> list[Layer]:
    """Return the convolutions and fully connected layers of a network, in the order of their use.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode. On the device "meta" nothing is computed.
    size : int, default=224
        Side of the picture that is sent through.

    Notes
    -----
    Parameters are weights and biases of the layer itself, multiply-adds those of its weights;
    normalisation, ReLU and pooling are left out.
    """
    layers: list[Layer] = []

    def note(name: str, module: nn.Module, inputs: object, output: Tensor) -> None:
        shape = tuple(output.shape[1:])
        places = int(np.prod(shape[1:]))
        n_parameters = sum(p.numel() for p in module.parameters())
        weights = module.weight.numel()  # type: ignore[operator]
        layers.append(Layer(name, shape, n_parameters, weights * places))

    hooks = [
        module.register_forward_hook(partial(note, name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size, size, device=next(network.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return layers


class SmallCNN(BaseEstimator):
    """A small network trained from scratch: three convolutions, a mean over space, one layer.

    Each convolution is followed by batch normalisation, ReLU and, but for the last, a maximum
    over 2 x 2. Trained by Adam on the cross-entropy of class labels. A part of the training
    pictures, stratified by class, is set aside; training stops when its cross-entropy has not
    fallen for ``patience`` epochs, and the weights of the best epoch are kept.

    Parameters
    ----------
    channels : tuple of int, default=(16, 32, 64)
        Filters of the three convolutions: 5 x 5, then 3 x 3 twice. The last number is the width
        of the features.
    learning_rate : float, default=0.001
    weight_decay : float, default=0.0001
    batch_size : int, default=64
    max_epochs : int, default=25
    patience : int, default=5
    validation_size : float, default=0.15
        Share of the training pictures set aside.
    random_state : int, default=0
        Seeds the initial weights, the validation part and the batches.
    device : str, default="cpu"
        Torch device.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    network_ : torch.nn.Sequential
        In evaluation mode; the last layer gives class scores.
    history_ : dict of str to list of float
        "train": mean cross-entropy of each epoch's batches; "validation" and "accuracy":
        cross-entropy and share of right answers on the part set aside, after each epoch.
    best_epoch_ : int
        Whose weights were kept, from 0.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 60)  # horizontal and vertical stripes, with noise
    >>> stripes = np.broadcast_to(np.sin(np.arange(16))[:, None], (16, 16))
    >>> X = np.stack([[stripes if c else stripes.T] * 3 for c in y])
    >>> X = X + rng.normal(size=X.shape)
    >>> model = SmallCNN(batch_size=8, max_epochs=10).fit(X[::2], y[::2])
    >>> float(np.mean(model.predict(X[1::2]) == y[1::2])) > 0.9
    True
    """

    def __init__(
        self,
        channels: tuple[int, int, int] = (16, 32, 64),
        *,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        batch_size: int = 64,
        max_epochs: int = 25,
        patience: int = 5,
        validation_size: float = 0.15,
        random_state: int = 0,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.channels = channels
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, X: ArrayLike, labels: ArrayLike) -> SmallCNN:
        """Train on pictures (n, 3, height, width) and class numbers (n,)."""
        check_scalar(self.batch_size, "batch_size", Integral, min_val=2)  # one has no variance
        for name in ("max_epochs", "patience"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        for name in ("learning_rate", "weight_decay"):
            check_scalar(getattr(self, name), name, Real, min_val=0)
        pictures, y = _pictures(X), np.asarray(labels)
        if y.shape != (len(pictures),) or y.dtype.kind not in "iu" or y.min(initial=0) < 0:
            raise ValueError(
                f"labels must be {len(pictures)} class numbers from 0, got shape {y.shape} of "
                f"{y.dtype}."
            )
        rest, held_out = train_test_split(
            np.arange(len(y)),
            test_size=self.validation_size,
            random_state=self.random_state,
            stratify=y,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            network: Any = self._network(int(y.max()) + 1)
            self.network_ = network.to(device=self.device, memory_format=_LAYOUT)
            Z = torch.from_numpy(pictures).to(self.device, memory_format=_LAYOUT)
            c = torch.from_numpy(y).long().to(self.device)
            self._train((Z[rest], c[rest]), (Z[held_out], c[held_out]))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the features (n, channels[-1]): what the last layer sees."""
        check_is_fitted(self, "network_")
        return self._batches(self.network_[:-1], X)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the most likely classes (n,)."""
        check_is_fitted(self, "network_")
        return self._batches(self.network_, X).argmax(axis=1)

    def _network(self, n_classes: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        c_in = 3
        for side, channels in zip((5, 3, 3), self.channels, strict=True):
            layers += [nn.Conv2d(c_in, channels, side, padding=side // 2, bias=False)]
            layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2)]
            c_in = channels
        layers[-1:] = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, n_classes)]
        return nn.Sequential(*layers)

    def _train(self, training: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> None:
        network, (X, y) = self.network_, training
        optimizer = torch.optim.Adam(
            network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        self.history_: dict[str, list[float]] = {"train": [], "validation": [], "accuracy": []}
        best, best_weights = np.inf, network.state_dict()
        for epoch in tqdm(range(self.max_epochs), disable=not self.verbose, unit="epoch"):
            network.train()
            total = 0.0
            for rows in torch.randperm(len(X)).split(self.batch_size):
                if len(rows) == 1:
                    continue
                entropy = F.cross_entropy(network(X[rows]), y[rows])
                optimizer.zero_grad()
                entropy.backward()
                optimizer.step()
                total += entropy.item() * len(rows)
            network.eval()
            with torch.inference_mode():
                scores = network(validation[0])
                loss = F.cross_entropy(scores, validation[1]).item()
                accuracy = (scores.argmax(dim=1) == validation[1]).double().mean().item()
            self.history_["train"].append(total / len(X))
            self.history_["validation"].append(loss)
            self.history_["accuracy"].append(accuracy)
            if not epoch or loss < best:
                best, self.best_epoch_ = loss, epoch
                best_weights = copy.deepcopy(network.state_dict())
            elif epoch - self.best_epoch_ >= self.patience:
                break
        network.load_state_dict(best_weights)

    def _batches(self, network: nn.Module, X: ArrayLike) -> Array:
        with torch.inference_mode():
            parts = torch.from_numpy(_pictures(X)).split(256)
            return torch.cat([network(part.to(self.device)).cpu() for part in parts]).numpy()


def _pictures(X: ArrayLike) -> NDArray[np.float32]:
    pictures = np.asarray(X, np.float32)
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"pictures must have shape (n, 3, height, width), got {pictures.shape}.")
    if not np.isfinite(pictures).all():
        raise ValueError("pictures hold NaN or infinity.")
    return np.ascontiguousarray(pictures)


def im2col(maps: Array, side: int, stride: int = 1, padding: int = 0) -> Array:
    """Return every window that a filter sees as one column: (c side², places).

    Parameters
    ----------
    maps : ndarray of shape (c, height, width)
    side : int
        Of the square filter.
    stride, padding : int
        Step of the filter; rim of zeros around the maps.
    """
    rim = ((0, 0), (padding, padding), (padding, padding))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(maps, rim), (side, side), (1, 2))
    windows = windows[:, ::stride, ::stride]  # (c, h', w', side, side)
    return windows.transpose(0, 3, 4, 1, 2).reshape(len(maps) * side**2, -1)


def convolve(maps: Array, filters: Array, stride: int = 1, padding: int = 0) -> Array:
    """Return the maps (m, h', w') of filters (m, c, side, side), as one product of matrices."""
    side = filters.shape[-1]
    height, width = ((n + 2 * padding - side) // stride + 1 for n in maps.shape[1:])
    columns = im2col(maps, side, stride, padding)
    return (filters.reshape(len(filters), -1) @ columns).reshape(-1, height, width)


def convolve_backward(
    maps: Array, filters: Array, gradient: Array, stride: int = 1, padding: int = 0
) -> tuple[Array, Array]:
    """Return the gradients of a loss in ``maps`` and in ``filters``, given that in the output.

    With Z the output as a matrix, W the filters and C the columns of :func:`im2col`, Z = W C; so
    the gradients are G Cᵀ in W and Wᵀ G in C, and those of all columns that hold a pixel add up.
    """
    side, G = filters.shape[-1], gradient.reshape(len(filters), -1)
    in_filters = (G @ im2col(maps, side, stride, padding).T).reshape(filters.shape)
    columns = filters.reshape(len(filters), -1).T @ G
    padded = np.zeros((len(maps), *(n + 2 * padding for n in maps.shape[1:])))
    height, width = gradient.shape[1:]
    windows = columns.reshape(len(maps), side, side, height, width)
    for i, j in np.ndindex(side, side):  # a pixel is seen through each place of the filter
        rows = slice(i, i + stride * height, stride)
        padded[:, rows, j : j + stride * width : stride] += windows[:, i, j]
    inside = slice(padding, -padding or None)
    return padded[:, inside, inside], in_filters
