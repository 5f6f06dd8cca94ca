"""Plausible wrong answers to the exercise of the front page."""

import numpy as np

WRONG = {
    "index/best": [
        (lambda similarity, i, k: np.argsort(similarity[i])[:k], "farthest"),
        (lambda similarity, i, k: np.argsort(similarity[i])[-k:], "closest must come first"),
        (lambda similarity, i, k: np.sort(similarity[i])[::-1][:k], "similarities"),
    ],
}
