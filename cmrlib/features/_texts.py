"""The one check of texts that go into an extractor."""

from __future__ import annotations

from collections.abc import Sequence


def check_texts(texts: Sequence[str], name: str = "text", *, empty: bool = False) -> None:
    """Refuse what is no sequence of proper strings, naming the item.

    Parameters
    ----------
    texts : sequence of n str
    name : str
        What an error message calls an item.
    empty : bool, default=False
        Whether empty texts pass.

    Raises
    ------
    TypeError
        If `texts` is a single string, or an item is not a string.
    ValueError
        If an item is empty, or holds bytes that were no text (lone surrogates).
    """
    if isinstance(texts, str):
        raise TypeError(f"{name}s must be a sequence of strings, got a single string.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            hint = "; decode it first" if isinstance(text, bytes) else ""
            raise TypeError(f"{name} {i} is not a string but {type(text).__name__}{hint}.")
        if not empty and not text.strip():
            raise ValueError(f"{name} {i} is empty.")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{name} {i} is not proper Unicode; decode it with the right encoding."
            ) from None
