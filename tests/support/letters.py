"""Lower case as databases know it, for models of their comparisons."""

import string

_UPPER_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def lower_ascii(text: str) -> str:
    """Return ``text`` with the letters A to Z in lower case."""
    return text.translate(_UPPER_TO_LOWER)


def lower(text: str) -> str:
    """Return ``text`` with each letter in lower case that is one letter there too."""
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
