"""Typing errors, planted to measure how well a text feature bears them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from string import ascii_lowercase

import numpy as np
from sklearn.utils import check_random_state, check_scalar

KINDS = ("swap", "drop", "replace", "double")


def add_typos(
    texts: Sequence[str], rate: float = 1.0, random_state: int | None = None
) -> list[str]:
    """Return the texts, a share of them with one typing error each.

    An error swaps two neighbouring letters, drops a letter, replaces it by another or doubles it.
    The kind is drawn first, each as likely as the others, then the place, in words of two letters
    or more. A text without such a word stays as it is.

    Parameters
    ----------
    texts : sequence of n str
    rate : float, default=1.0
        Share of the texts to spoil: round(rate n) of them, drawn at random.
    random_state : int, optional
        Seed. With the same seed, a larger `rate` spoils the same texts in the same way, and more.

    Returns
    -------
    list of n str

    Examples
    --------
    >>> from cmrlib.features import add_typos
    >>> add_typos(["red apple", "green apple"], rate=0.5, random_state=1)
    ['red appple', 'green apple']
    """
    if isinstance(texts, str):
        raise TypeError("texts must be a sequence of strings, got a single string.")
    check_scalar(rate, "rate", Real, min_val=0, max_val=1)
    rng = check_random_state(random_state)
    chosen = set(rng.permutation(len(texts))[: round(rate * len(texts))])
    spoilt = [_misspell(text, rng) for text in texts]  # all: no draw depends on the rate
    return [spoilt[i] if i in chosen else text for i, text in enumerate(texts)]


def _misspell(text: str, rng: np.random.RandomState) -> str:
    """Return the text with one error; it always differs from the text, if a word is long enough."""
    pairs = [i for i, (a, b) in enumerate(pairwise(text)) if a.isalpha() and b.isalpha()]
    letters = sorted({*pairs, *(i + 1 for i in pairs)})
    places = {kind: letters for kind in KINDS}
    places["swap"] = [i for i in pairs if text[i] != text[i + 1]]
    possible = [kind for kind in KINDS if places[kind]]
    if not possible:
        return text
    kind = possible[rng.randint(len(possible))]
    i = places[kind][rng.randint(len(places[kind]))]
    letter = text[i]
    others = [other for other in ascii_lowercase if other != letter.lower()]
    edits = {
        "swap": text[i + 1 : i + 2] + letter,
        "drop": "",
        "replace": others[rng.randint(len(others))],
        "double": 2 * letter,
    }
    return text[:i] + edits[kind] + text[i + (2 if kind == "swap" else 1) :]
