"""The template of a message: its text, with a placeholder for each part that varies.

Each pattern runs in linear time, for any text.
"""

import re

PLACEHOLDER = "<*>"
READ_LENGTH = 600  # characters of a message that count
MAX_LENGTH = 300  # characters of a template

_HEX = "[0-9a-fA-F]"
_MARKED_VALUES = (  # each with a character that it contains
    ("-", re.compile(rf"(?<!\w){_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}(?!\w)")),  # a UUID
    ("@", re.compile(r"(?<![\w.+-])[\w.+-]+@\w[\w.-]*")),
    ("'", re.compile(r"(?<!\w)'[^'\n]*'(?!\w)")),  # but not the text between two apostrophes
    ("`", re.compile(r"`[^`\n]*`")),
    (":", re.compile(rf"(?<![\w:])(?=[a-fA-F:]*\d)(?:{_HEX}{{0,4}}:){{2,7}}{_HEX}{{1,4}}(?![\w:])")),  # IPv6
)
_QUOTED = re.compile(r'(?:(?<=[{,])|(?<=[{,] ))("[^"\n]*")(?= ?:)|"[^"\n]*"')  # group 1 is a key of a JSON object
_UNFINISHED = re.compile(r"""(?<!\w)["'`][^"'`\n]*\Z""")
_WORD_WITH_DIGIT = re.compile(r"(?<![^\W_])([^\W\d_]*)(\d[^\W_]*)")
_LONG_HEX = re.compile(f"{_HEX}{{6,}}")
_UNIT = re.compile(r"\d+((?:n|µ|u|m)?s|min|[hdx]|[kKMGT]?(?:i?[Bb])?|st|nd|rd|th|px)")
_SIGN = re.compile(r"(?<![^\s=(:,\[])[+-](?=<\*>)")
_SERIES = re.compile(r"<\*>(?:(?:[-.,:/_+=|]|, )?<\*>)+")
_PADDING = re.compile(r"(?<![ \t])[ \t]{2,}(?=<\*>)|(?<=<\*>)[ \t]{2,}")


def message_template(message: str) -> str:
    """Replace each number, address, quoted text and word with digits by `PLACEHOLDER`.

    Letters before a number and the unit after it stay: ``worker3`` becomes ``worker<*>``, ``12ms`` becomes ``<*>ms``.
    Only the first `READ_LENGTH` characters of the message count. The template has at most `MAX_LENGTH` characters.
    """
    text = message[:READ_LENGTH]
    if '"' in text:
        text = _QUOTED.sub(_replace_unless_key, text)
    for mark, pattern in _MARKED_VALUES:
        if mark in text:
            text = pattern.sub(PLACEHOLDER, text)
    if len(message) > READ_LENGTH:
        text = _UNFINISHED.sub(PLACEHOLDER, text)
    text = _WORD_WITH_DIGIT.sub(_replace_digits, text)
    if PLACEHOLDER in text:
        text = _PADDING.sub(" ", _SERIES.sub(PLACEHOLDER, _SIGN.sub("", text)))
    return text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH].removesuffix("<").removesuffix("<*")


def _replace_unless_key(match: "re.Match[str]") -> str:
    return match[1] or PLACEHOLDER


def _replace_digits(match: "re.Match[str]") -> str:
    letters, rest = match.groups()
    if not _LONG_HEX.fullmatch(match[0]):
        if rest.isdecimal():
            return letters + PLACEHOLDER
        if not letters and (unit := _UNIT.fullmatch(rest)):
            return PLACEHOLDER + unit[1]
    return PLACEHOLDER
