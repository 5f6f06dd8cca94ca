"""Names of the emoji in several languages, to train text models on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cmrlib.datasets.emoji import emoji_table


def emoji_names(language: str = "en") -> tuple[str | None, ...]:
    """Return the name of each emoji of :func:`load_emoji` in one language, in the same order.

    They are the Unicode names for people (CLDR short names) that the package ``emoji`` comes with,
    and differ in wording from the captions: "melting face" is "visage qui fond" in French.

    Parameters
    ----------
    language : str, default="en"
        Two letters. ``emoji`` 2.16.0 has "ar", "de", "en", "es", "fa", "fr", "id", "it", "ja",
        "ko", "pt", "ru", "tr" and "zh".

    Returns
    -------
    tuple of 1898 str or None
        None where the language has no name for the emoji. With ``emoji`` 2.16.0 there are none:
        all 1898 rows have a name in each of the 14 languages. Older versions know fewer emoji.

    Raises
    ------
    ImportError
        If the ``encoders`` extra is not installed.
    ValueError
        If the package does not have the language.

    Examples
    --------
    >>> from cmrlib.datasets import emoji_names
    >>> emoji_names("fr")[10]
    'visage qui fond'
    """
    package = _emoji_package()
    if language not in package.LANGUAGES:
        raise ValueError(
            f"there are no emoji names in {language!r}; "
            f"choose one of {', '.join(sorted(package.LANGUAGES))}."
        )
    package.config.load_language(language)
    return tuple(_name(package.EMOJI_DATA, entry.code, language) for entry in emoji_table())


def _emoji_package() -> Any:
    try:
        return import_module("emoji")
    except ImportError as error:
        raise ImportError(
            "emoji is not installed; names in several languages need "
            "pip install 'cmrlib[encoders]'."
        ) from error


def _name(names: dict[str, dict[str, Any]], code: str, language: str) -> str | None:
    character = "".join(chr(int(point, 16)) for point in code.split("-"))
    name = names.get(character, {}).get(language)  # such as ":melting_face:"
    return " ".join(name.strip(":").replace("_", " ").split()) if name else None
