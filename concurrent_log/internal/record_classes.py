"""What a class of records overrides: it decides how much of a record must be evaluated in the logging call."""

import enum
import logging
from functools import lru_cache


class RecordClass(enum.Enum):
    """On what the text of a record depends, apart from its attributes."""

    PASSIVE = "on nothing, as in the standard `logging.LogRecord`"
    OWN_MESSAGE = "on a ``getMessage`` of its own"
    ACTIVE = "on further methods, properties or slots, which may return something else later"


# Attributes of a class that affect nothing but the creation of a record.
_HARMLESS = frozenset(
    [
        "__init__",
        "__module__",
        "__qualname__",
        "__doc__",
        "__dict__",
        "__weakref__",
        "__annotations__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__conditional_annotations__",
        "__static_attributes__",
        "__firstlineno__",
        "__classdictcell__",
        "__slotnames__",  # of `copyreg`, after the first record was copied or pickled
    ]
)
_STANDARD_NAMES = _HARMLESS | {"__repr__", "getMessage"}

_standard = vars(logging.LogRecord)  # a view: programs add properties to the standard class, too
_known_size = -1
_STANDARD_FILE = logging.Logger.makeRecord.__code__.co_filename
standard_message = _standard["getMessage"]
if getattr(getattr(standard_message, "__code__", None), "co_filename", None) != _STANDARD_FILE:
    standard_message = None  # A program replaced it before it imported this package.


def is_standard_class_unchanged() -> bool:
    """Return whether `logging.LogRecord` has only the attributes of the standard library."""
    return _has_standard_names() and logging.LogRecord.getMessage is standard_message


def _has_standard_names() -> bool:
    global _known_size
    if len(_standard) != _known_size and _STANDARD_NAMES.issuperset(_standard):
        _known_size = len(_standard)
    return len(_standard) == _known_size


def classify(kind: type) -> RecordClass:
    """Return on what the text of a record of the class ``kind`` depends."""
    if not _has_standard_names():
        return RecordClass.ACTIVE
    found = _classify(kind)
    if found is RecordClass.PASSIVE and not is_standard_class_unchanged():
        return RecordClass.OWN_MESSAGE
    return found


@lru_cache(maxsize=100)
def _classify(kind: type) -> RecordClass:
    if type(kind) is not type or logging.LogRecord not in kind.__mro__:
        return RecordClass.ACTIVE
    names: set[str] = set()
    for each in kind.__mro__:
        if each not in (logging.LogRecord, object):
            names.update(vars(each))
    own = names - _HARMLESS
    if not own:
        return RecordClass.PASSIVE
    return RecordClass.OWN_MESSAGE if own == {"getMessage"} else RecordClass.ACTIVE
