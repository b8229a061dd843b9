"""The names that other people's programs build on."""

import logging.handlers
import subprocess
import sys

import pytest

import concurrent_log


def test_public_names_are_pinned() -> None:
    """P6: a public name comes or goes only together with this list."""
    assert concurrent_log.__all__ == ["ConcurrentRotatingFileHandler", "ConcurrentTimedRotatingFileHandler"]


@pytest.mark.parametrize("name", concurrent_log.__all__)
def test_handler_stands_beside_the_standard_ones(name: str) -> None:
    """P6: a configuration finds the handlers under ``logging.handlers``, once the package is imported."""
    assert getattr(logging.handlers, name) is getattr(concurrent_log, name)


def test_import_is_light() -> None:
    """Importing the package starts no thread and imports portalocker, but none of the extras."""
    program = (
        "import sys, threading, concurrent_log\n"
        "assert threading.active_count() == 1\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    run = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    extras = {"rich", "celery", "django", "gunicorn", "uvicorn", "pytest", "hypothesis", "markdown_it"}

    assert "portalocker" in run.stdout.split()
    assert not extras & set(run.stdout.split())
