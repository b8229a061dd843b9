"""Records, formatters and filters of programs, for the comparison of `BackgroundHandler` with a direct call."""

import json
import logging
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from concurrent_log import BackgroundHandler, ConcurrentRotatingFileHandler
from support.background_handlers import CollectingHandler
from support.deadlines import DEADLINE

_BELOW_ALL = -1  # a level that only the handler with the gate accepts
_ABOVE_ALL = 1_000


class Masking(logging.LogRecord):
    """Masks secrets, as the Cookbook shows it."""

    def getMessage(self) -> str:
        """Return the message without secrets."""
        return super().getMessage().replace("secret", "***")


class Braces(logging.LogRecord):
    """Merges its arguments by `str.format`, and adds a prefix: applied twice, it would show twice."""

    def getMessage(self) -> str:
        """Return the message, merged."""
        return "> " + (str(self.msg).format(*self.args) if self.args else str(self.msg))


class WithProperty(logging.LogRecord):
    """Has a property that depends on the thread of the caller."""

    @property
    def caller(self) -> str:
        """The name of the thread."""
        return threading.current_thread().name


class WithSlots(logging.LogRecord):
    """Keeps an attribute in a slot, and the level in a property."""

    __slots__ = ("caller",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.caller = "slot"


class WithGetattr(logging.LogRecord):
    """Answers for every attribute that a record does not have."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return f"<{name} of {threading.current_thread().name}>"


class WithText(logging.LogRecord):
    """Has a text of its own."""

    def __str__(self) -> str:
        return f"{self.levelname}: {self.getMessage()} from {threading.current_thread().name}"


class WithAttribute(logging.LogRecord):
    """Sets an attribute when it is created."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.caller = [self.name]


RECORD_CLASSES: list[Any] = [
    *(logging.LogRecord, Masking, Braces, WithProperty, WithSlots, WithGetattr, WithText, WithAttribute)
]


class Lazy:
    """An object whose text changes."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        return f"lazy {self.value} in {threading.current_thread().name}"

    def __repr__(self) -> str:
        return f"Lazy({self.value!r})"

    def __format__(self, spec: str) -> str:
        return str(self)


class JsonFormatter(logging.Formatter):
    """Writes what a record has, its exception and arguments included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        names = ("msg", "args", "levelname", "caller", "item")
        fields = {name: repr(getattr(record, name, None)) for name in names}
        fields["message"] = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            fields["error"] = record.exc_info[0].__name__
        return json.dumps(fields)


class OneLine(logging.Formatter):
    """Writes an exception in one line; its own cache is empty before each record, as the Cookbook shows it."""

    def formatException(self, ei: Any) -> str:
        """Return the exception as its `repr`."""
        return repr(ei[1])

    def format(self, record: logging.LogRecord) -> str:
        """Format without the text that another formatter cached."""
        record.exc_text = None
        return super().format(record).replace("\n", " | ")


class ShortException(logging.Formatter):
    """Formats an exception in its own way, and leaves the cache as it is."""

    def formatException(self, ei: Any) -> str:
        """Return the type of the exception."""
        return f"short {ei[0] and ei[0].__name__}"


class Coloured(logging.Formatter):
    """Changes the record, which the next handler sees."""

    def format(self, record: logging.LogRecord) -> str:
        """Format with a coloured level."""
        record.levelname = f"*{record.levelname}"
        record.caller = "coloured"
        return super().format(record)


class TextOfRecord(logging.Formatter):
    """Writes the text of the record itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of the record."""
        return str(record)


class NoTime(logging.Formatter):
    """Says that it uses no time, although its format names it."""

    def usesTime(self) -> bool:
        """Return False."""
        return False


LINE = "%(levelname)s %(message)s"
FORMATTERS: list[Callable[[], logging.Formatter | None]] = [
    lambda: None,
    lambda: logging.Formatter("%(asctime)s " + LINE),
    lambda: logging.Formatter("{levelname:>8} {message}", style="{"),
    lambda: logging.Formatter("$levelname ${message} $item", style="$", defaults={"item": "no item"}),
    lambda: logging.Formatter(LINE + " %(item)s %(caller)s", defaults={"item": "-", "caller": "-"}),
    lambda: logging.Formatter(LINE + " %(msg)s %(args)s %(exc_info)s", defaults={}),
    lambda: NoTime("%(created)f " + LINE),
    lambda: JsonFormatter(),
    lambda: OneLine(LINE),
    lambda: ShortException(LINE),
    lambda: Coloured(LINE + " %(caller)s"),
    lambda: TextOfRecord(),
]


class AddItem(logging.Filter):
    """Adds an attribute to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attribute."""
        record.item = [record.msg]
        return True


class ReplaceMessage(logging.Filter):
    """Changes the message of each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the message by a text without arguments."""
        record.msg, record.args = f"replaced {record.msg!r}", None
        return True


class HideException(logging.Filter):
    """Removes the exception, and what a formatter made of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove the exception."""
        record.exc_info = record.exc_text = None
        return True


class SeeLevel(logging.Filter):
    """Rejects records whose level an earlier formatter coloured."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Accept plain levels."""
        return not record.levelname.startswith("*")


FILTERS: list[Callable[[], logging.Filter] | None] = [None, AddItem, ReplaceMessage, HideException, SeeLevel]

Program = Callable[[logging.Logger], object]
MakeTargets = Callable[[Path], Sequence[logging.Handler]]


def make_target(path: Path, formatter: logging.Formatter | None, own_filter: Any = None, **options: Any) -> Any:
    """Return a file handler of the standard library or of this package, by the name of the file."""
    kind = logging.FileHandler if "standard" in path.name else ConcurrentRotatingFileHandler
    handler = kind(path, **options)
    handler.setFormatter(formatter)
    if own_filter is not None:
        handler.addFilter(own_filter())
    return handler


def texts_in_front(folder: Path, make_targets: MakeTargets, program: Program) -> list[str]:
    """Run ``program`` with a logger that calls the handlers directly, and return the contents of the files."""
    targets = make_targets(folder)
    _run(program, targets)
    return _contents(folder, targets)


def texts_in_background(folder: Path, make_targets: MakeTargets, program: Program, worker: str) -> list[str]:
    """Run ``program`` with a `BackgroundHandler`, whose worker writes nothing before the end of ``program``."""
    targets = make_targets(folder)
    gate = CollectingHandler()
    background = BackgroundHandler([*targets, gate] if worker == "thread" else targets, worker=worker)
    background.stop_timeout = DEADLINE
    try:
        if worker == "thread":
            _close_gate(gate, background)
        _run(program, [background])
    finally:
        gate.gate.set()
        background.close()
    return _contents(folder, targets)


def _close_gate(gate: CollectingHandler, background: BackgroundHandler) -> None:
    """Block the worker in ``gate``, which accepts no further record."""
    gate.gate.clear()
    gate.setLevel(_BELOW_ALL)
    background.handle(logging.makeLogRecord({"levelno": _BELOW_ALL, "msg": "gate"}))
    gate.entered.wait(DEADLINE)
    gate.setLevel(_ABOVE_ALL)


def _run(program: Program, handlers: Sequence[logging.Handler]) -> None:
    logger = logging.Logger("shop")
    for handler in handlers:
        logger.addHandler(handler)
    program(logger)


def _contents(folder: Path, targets: Sequence[logging.Handler]) -> list[str]:
    for target in targets:
        target.close()
    texts = [path.read_text("utf-8") for path in sorted(folder.iterdir()) if path.suffix == ".log"]
    return [re.sub(r"0x[0-9a-f]+", "0x…", text) for text in texts]  # The two runs have different objects.
