"""Which text counts as a number: decimal digits without a superfluous zero in front, as JSON writes numbers."""

import re

SPELT_NUMBER = "-?(0|[1-9][0-9]{0,29})([.][0-9]{1,30})?"  # in Python and in PostgreSQL
_SPELT_NUMBER = re.compile(SPELT_NUMBER)


def spells_number(text: str) -> bool:
    """Return whether ``text`` is a number of at most 30 digits, with at most 30 after the point."""
    return _SPELT_NUMBER.fullmatch(text) is not None
