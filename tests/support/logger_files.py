"""The files that the ready-made loggers write."""

import pathlib

from support.records import lines


def in_files(folder: pathlib.Path) -> dict[str, list[str]]:
    """Return the messages of each log file below ``folder``, by its relative path."""
    return {
        str(path.relative_to(folder)): [line.rpartition(" - ")[2] for line in lines(path) if " - [" in line]
        for path in sorted(folder.rglob("*.log"))
    }
