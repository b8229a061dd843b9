"""The options of a file handler: each is checked, and an invalid one raises an error of one clear line."""

import codecs
import errno
import io
import os
import re
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timezone as fixed_timezone
from datetime import tzinfo
from os import PathLike

from concurrent_log.files.log_links import check_links
from concurrent_log.files.permissions import Ownership, parse_ownership
from concurrent_log.files.streams import is_special
from concurrent_log.internal.validation import check_choice, check_seconds

# As os.path.expandvars finds them.
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})" + (r"|%[^%]+%" if os.name == "nt" else ""), re.ASCII)
_NEWLINES = {None: os.linesep, "": "\n", "\n": "\n", "\r": "\r", "\r\n": "\r\n"}


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """The options of a handler's file, checked.

    Raises:
        TypeError, ValueError: An argument is invalid.
        IsADirectoryError: ``filename`` is a folder.
    """

    filename: "str | PathLike[str]"
    encoding: str | None
    delay: bool
    errors: str | None
    use_gzip: bool = False
    owner: Sequence[str | int | None] | None = None
    chmod: int | None = None
    umask: int | None = None
    newline: str | None = None
    terminator: str = "\n"
    lock_file_directory: "str | PathLike[str] | None" = None
    lock_timeout: float
    keep_file_open: bool | None
    unicode_error_policy: str | None = None
    debug: bool = False
    mode: str = "a"
    path: str = field(init=False)
    lock_path: str = field(init=False)
    codec: str = field(init=False)
    line_end: str = field(init=False)
    ownership: Ownership = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.terminator, str):
            raise TypeError(f"terminator must be a string, not {self.terminator!r}")
        check_choice("delay", self.delay, (True, False, None))
        check_choice("use_gzip", self.use_gzip, (True, False))
        check_choice("keep_file_open", self.keep_file_open, (True, False, None))
        check_seconds("lock_timeout", self.lock_timeout)
        if self.debug:
            raise ValueError("debug=True is not supported: errors are reported through handleError; omit debug")
        check_mode(self.mode, 0)
        errors = _error_handler(self.unicode_error_policy, self.errors)
        ownership = parse_ownership(self.owner, self.chmod, self.umask)
        derived = {
            "errors": errors,
            "codec": _codec(self.encoding, errors),
            "line_end": _line_end(self.newline),
            "ownership": ownership,
            "path": _log_path(self.filename, ownership.user),
        }
        derived["lock_path"] = _lock_path(str(derived["path"]), self.lock_file_directory)
        vars(self).update(derived)  # The class is frozen, so that assignments raise.


def parse_timezone(timezone: str | tzinfo | None, utc: bool) -> tzinfo | None:
    """Return the zone whose clock decides when a period ends; None means the zone of this machine."""
    if timezone is None:
        return fixed_timezone.utc if utc else None
    if utc:
        raise ValueError(f"utc=True and timezone={timezone!r} are two zones: omit one of them")
    if isinstance(timezone, tzinfo):
        return timezone
    if not isinstance(timezone, str):
        raise TypeError(f"timezone must be a name such as 'Asia/Seoul' or a datetime.tzinfo, not {timezone!r}")
    # Imported here because an isolated sub-interpreter of Python 3.12 cannot import it.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"timezone={timezone!r} is unknown: use an IANA name such as 'Asia/Seoul'; "
            "if that is also unknown, this machine has no time zones: python -m pip install tzdata"
        ) from None


def check_mode(mode: str, maxBytes: int) -> None:
    """Raise if ``mode`` would empty a file that other processes write."""
    # With maxBytes, the standard class also treats every mode as "a".
    if mode not in ("a", "at") and not (maxBytes and isinstance(mode, str)):
        raise ValueError(f"mode={mode!r} would empty a file that other processes write: use 'a'")


def check_literal(name: str, path: "str | PathLike[str]") -> None:
    """Raise if ``path`` has a part that a shell would expand; ``./`` at the beginning says that it is literal.

    Nothing expands it here, and the standard class creates a folder named ``~``.

    Raises:
        ValueError: A part is ``~``, ``~user`` or a variable.
    """
    given = os.fsdecode(path)
    first, *others = given.replace(os.sep, "/").split("/")
    if first == "." and others:
        return
    if first == "~" or (first.startswith("~") and others):
        raise ValueError(
            f"{name}={given!r} begins with {first!r}, which is not expanded: "
            f"use os.path.expanduser({given!r}), or {'./' + given!r} for a folder of that name"
        )
    for part in (first, *others):
        if _VARIABLE.fullmatch(part):
            raise ValueError(
                f"{name}={given!r} contains {part!r}, which is not expanded: "
                f"use os.path.expandvars({given!r}), or a relative path that begins with './' for a folder of that name"
            )


def _error_handler(policy: str | None, errors: str | None) -> str | None:
    """Return ``errors``, or concurrent-log-handler's ``unicode_error_policy``, whichever is given."""
    if policy is None:
        return errors
    if policy not in ("ignore", "replace", "strict"):
        raise ValueError(f"unicode_error_policy={policy!r} must be 'ignore', 'replace' or 'strict'; or use errors")
    if errors not in (None, policy):
        raise ValueError(f"unicode_error_policy={policy!r} and errors={errors!r} contradict each other: omit one")
    return str(policy)


def _log_path(filename: "str | PathLike[str]", owner: int) -> str:
    """Return the absolute path of the log file with links resolved, so that all its names share one lock file."""
    path = _absolute("filename", filename)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "filename is a folder; name a file in it", path)
    check_links(path, owner)
    # Also if the target does not exist yet: it exists for the second process.
    if os.path.islink(path) and not is_special(path):
        return os.path.realpath(path)
    return path


def _lock_path(log_path: str, directory: "str | PathLike[str] | None") -> str:
    """Return the path of the lock file: beside the log file, or in ``directory``."""
    folder, name = os.path.split(log_path)
    name = f".__{name.removesuffix('.log')}"
    if directory is None:
        return os.path.join(folder, f"{name}.lock")
    # Log files with the same name, from several folders, may have their lock files in one folder.
    distinct = zlib.crc32(os.fsencode(os.path.realpath(folder)))
    return os.path.join(_absolute("lock_file_directory", directory), f"{name}.{distinct:08x}.lock")


def _codec(encoding: str | None, errors: str | None) -> str:
    """Return the name of the codec that `open` would use."""
    if encoding is None or encoding == "locale":
        # As `open` does it, without the warning of ``-X warn_default_encoding``, which is for those who call `open`.
        is_utf8 = encoding is None and sys.flags.utf8_mode
        name = "utf-8" if is_utf8 else io.TextIOWrapper(io.BytesIO(), encoding="locale").encoding
    else:
        name = encoding
    try:
        "".encode(name)
    except (LookupError, ValueError):
        raise ValueError(f"encoding={encoding!r} is unknown: use 'utf-8', or another text encoding") from None
    except TypeError:
        raise TypeError(f"encoding must be a string such as 'utf-8', not {encoding!r}") from None
    try:
        codecs.lookup_error(errors or "strict")
    except (LookupError, ValueError):
        raise ValueError(f"errors={errors!r} is unknown: use 'backslashreplace' or 'replace'") from None
    except TypeError:
        raise TypeError(f"errors must be a string such as 'replace', not {errors!r}") from None
    return codecs.lookup(name).name


def _line_end(newline: str | None) -> str:
    """Return the characters that replace a newline in a record, by the rules of `open`."""
    if not isinstance(newline, (str, type(None))) or newline not in _NEWLINES:
        raise ValueError(f"newline={newline!r} must be None, '', '\\n', '\\r' or '\\r\\n', as for open()")
    return _NEWLINES[newline]


def _absolute(name: str, path: "str | PathLike[str]") -> str:
    try:
        found = os.path.abspath(os.fsdecode(path))
    except TypeError:
        raise TypeError(f"{name} must be a path, not {path!r}") from None
    check_literal(name, path)
    if "\0" in found:
        raise ValueError(f"{name}={path!r} contains a null character; remove it")
    return found
