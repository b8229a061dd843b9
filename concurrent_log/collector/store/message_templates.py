"""What messages have in common that say the same: their text, with a placeholder for whatever varies in it.

No pattern takes longer than in proportion to the text, whatever that is.
"""

import re

PLACEHOLDER = "<*>"
READ = 600  # characters of a message that are looked at
LONGEST = 300  # characters of a template

_HEX = "[0-9a-fA-F]"
_WHOLE = (
    ("-", re.compile(rf"(?<!\w){_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}(?!\w)")),  # a UUID
    ("@", re.compile(r"(?<![\w.+-])[\w.+-]+@\w[\w.-]*")),
    ("'", re.compile(r"(?<!\w)'[^'\n]*'(?!\w)")),  # but not what is between two apostrophes
    ("`", re.compile(r"`[^`\n]*`")),
    (":", re.compile(rf"(?<![\w:])(?=[a-fA-F:]*\d)(?:{_HEX}{{0,4}}:){{2,7}}{_HEX}{{1,4}}(?![\w:])")),  # IPv6
)
_QUOTED = re.compile(r'(?:(?<=[{,])|(?<=[{,] ))("[^"\n]*")(?= ?:)|"[^"\n]*"')  # the first is a key of JSON
_UNFINISHED = re.compile(r"""(?<!\w)["'`][^"'`\n]*\Z""")
_WORD = re.compile(r"(?<![^\W_])([^\W\d_]*)(\d[^\W_]*)")  # with a digit in it
_LONG_HEX = re.compile(f"{_HEX}{{6,}}")
_UNIT = re.compile(r"\d+((?:n|µ|u|m)?s|min|[hdx]|[kKMGT]?(?:i?[Bb])?|st|nd|rd|th|px)")
_SIGN = re.compile(r"(?<![^\s=(:,\[])[+-](?=<\*>)")
_SERIES = re.compile(r"<\*>(?:(?:[-.,:/_+=|]|, )?<\*>)+")
_PADDING = re.compile(r"(?<![ \t])[ \t]{2,}(?=<\*>)|(?<=<\*>)[ \t]{2,}")


def template_of(message: str) -> str:
    """Return a message with `PLACEHOLDER` for each number, address, quoted text or word with digits in it.

    Letters before a number and the unit after it stay: ``worker3`` becomes ``worker<*>``, ``12ms`` becomes ``<*>ms``.
    Of the message no more than `READ` characters matter, and of the template no more than `LONGEST` are returned.
    """
    text = message[:READ]
    if '"' in text:
        text = _QUOTED.sub(_but_a_key, text)
    for mark, pattern in _WHOLE:
        if mark in text:
            text = pattern.sub(PLACEHOLDER, text)
    if len(message) > READ:
        text = _UNFINISHED.sub(PLACEHOLDER, text)
    text = _WORD.sub(_without_digits, text)
    if PLACEHOLDER in text:
        text = _PADDING.sub(" ", _SERIES.sub(PLACEHOLDER, _SIGN.sub("", text)))
    return text if len(text) <= LONGEST else text[:LONGEST].removesuffix("<").removesuffix("<*")


def _but_a_key(match: "re.Match[str]") -> str:
    return match[1] or PLACEHOLDER


def _without_digits(match: "re.Match[str]") -> str:
    letters, rest = match.groups()
    if not _LONG_HEX.fullmatch(match[0]):
        if rest.isdecimal():
            return letters + PLACEHOLDER
        if not letters and (unit := _UNIT.fullmatch(rest)):
            return PLACEHOLDER + unit[1]
    return PLACEHOLDER
