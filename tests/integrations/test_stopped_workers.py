"""Servers that end their workers without Python's exit hooks: what is queued at that moment is written nevertheless."""

import importlib.util
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import Load, Server, serving
from support.record_counter import Record, assert_exactly_once, records_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the listening socket is inherited as a descriptor"),
]

_GUNICORN = ["-m", "gunicorn", "--worker-class", "uvicorn.workers.UvicornWorker", "--graceful-timeout", "120"]
_UWSGI = ["-c", "import pyuwsgi; pyuwsgi.run()", "--master", "--die-on-term", "--need-app", "--module", "slow_disk"]
_GEVENT = ["--gevent", "20", "--gevent-monkey-patch", "--processes", "2"]

_SERVERS: dict[str, Callable[[int], list[str]]] = {
    "gunicorn": lambda fd: [*_GUNICORN, "--workers", "2", "--bind", f"fd://{fd}", "slow_disk:asgi_application"],
    "uvicorn": lambda fd: ["-m", "uvicorn", "--fd", str(fd), "slow_disk:asgi_application"],
    "uvicorn with workers": lambda fd: [
        *["-m", "uvicorn", "--workers", "2", "--lifespan", "off", "--fd", str(fd), "slow_disk:asgi_application"]
    ],
    "uwsgi with gevent": lambda fd: [*_UWSGI, *_GEVENT, "--http-socket", f"fd://{fd}"],
}
_NEEDS = {
    "gunicorn": ["gunicorn", "uvicorn.workers"],
    "uvicorn": ["uvicorn"],
    "uvicorn with workers": ["uvicorn"],
    "uwsgi with gevent": ["pyuwsgi", "gevent"],
}
_RELOADING = ["gunicorn", "uwsgi with gevent"]


def _log_some(server: Server) -> set[str]:
    """Send some requests, and return the ids of the records that were logged for them."""
    with Load(server.port) as load:
        server.wait_until(lambda: len(load.answered) >= 20)

    assert not load.unanswered
    return load.ids(load.answered)


def _of_app(folder: Path) -> list[Record]:
    log_file = folder / "app.log"
    return [record for record in records_of(log_file) if record.logger == "app"] if log_file.stat().st_size else []


def _require(name: str) -> None:
    for module in _NEEDS[name]:
        if importlib.util.find_spec(module.partition(".")[0]) is None or importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


@pytest.mark.parametrize("name", _SERVERS)
def test_stopped_server_writes_what_is_queued(tmp_path: Path, name: str) -> None:
    """P1: uvicorn dies of the signal that stopped it, and uWSGI with gevent skips `atexit`."""
    _require(name)
    with serving(tmp_path, _SERVERS[name]) as server:
        expected = _log_some(server)
        server.stop()

    assert_exactly_once(_of_app(tmp_path), expected)


@pytest.mark.parametrize("name", _RELOADING)
def test_reloaded_server_writes_what_is_queued(tmp_path: Path, name: str) -> None:
    """P1: the workers of before the reload write their queues, and those of after it log as usual."""
    _require(name)
    with serving(tmp_path, _SERVERS[name]) as server:
        expected = _log_some(server)
        server.process.send_signal(signal.SIGHUP)
        server.wait_until(lambda: len(_of_app(tmp_path)) >= len(expected))
        server.stop()

    assert_exactly_once(_of_app(tmp_path), expected)


def test_server_reports_its_end(tmp_path: Path) -> None:
    """P1: a record that uvicorn logs after the handlers are closed is written, too."""
    _require("uvicorn")
    with serving(tmp_path, _SERVERS["uvicorn"]) as server:
        _log_some(server)
        server.stop()

    assert "Finished server process" in (tmp_path / "app.log").read_text(encoding="utf-8")
