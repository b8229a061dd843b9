"""Private names of Core Service's ``FileLogger`` that programs written for it use.

The manual of Core Service shows these attributes and methods to its users. They let such a program run with only its
imports changed. New programs use `FileLogger.logger` and `concurrent_log.dated.DatedFileHandler` instead.
"""

import os

from concurrent_log.dated import DatedFileHandler


class CoreServiceFileLoggerNames:
    """The private names, for a logger that has a `DatedFileHandler`."""

    _file: DatedFileHandler

    @property
    def _log_file_path(self) -> str:
        return self._file.baseFilename

    @property
    def _folder(self) -> str:
        return os.path.dirname(self._file.baseFilename)

    @property
    def _max_file_size_bytes(self) -> int:
        return self._file.maxBytes

    def _make_log_file_path(self) -> str:
        return self._file.next_path()

    def _check_and_rotate_file(self) -> None:
        if self._file.shouldRollover(None):
            self._file.doRollover()
