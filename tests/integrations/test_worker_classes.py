"""gunicorn with every worker class: each request gets its response, and each handler gets each record once."""

import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.collector_server import Server as Collector
from support.processes import Load, serving
from support.record_counter import Record, assert_exactly_once, read_back

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")]

_APPLICATION = {"uvicorn.workers.UvicornWorker": "all_handlers:asgi_application"}
_NEEDS = {
    "gevent": "gevent",
    "eventlet": "gunicorn.workers.geventlet",  # until gunicorn 25
    "uvicorn.workers.UvicornWorker": "uvicorn.workers",
}
_WORKERS = [
    "sync",
    "gthread",
    pytest.param("gevent", marks=pytest.mark.long),
    "eventlet",
    pytest.param("uvicorn.workers.UvicornWorker", marks=pytest.mark.long),
]
_WORKER_TIMEOUT = 60  # seconds after which gunicorn kills a worker whose event loop stands still


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory, require_server: None) -> Iterator[Collector]:
    """Return a running collector."""
    folder = tmp_path_factory.mktemp("collector")
    with Collector(folder, str(folder / "logs.sqlite3")) as server:
        yield server


@pytest.fixture(scope="module")
def require_server() -> None:
    """Skip without the packages of the collector."""
    for module in ("gunicorn", "msgspec", "tenacity", "urllib3", "fastapi", "uvicorn"):
        pytest.importorskip(module)


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
@pytest.mark.parametrize("worker", _WORKERS)
def test_worker_class_loses_no_record(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch, worker: str, preload: list[str]
) -> None:
    """P1, P8: under load, with a reload and a killed worker, whose queue in memory is the only loss."""
    if importlib.util.find_spec(_NEEDS.get(worker, "gunicorn")) is None:
        pytest.skip(f"{_NEEDS[worker]} is not installed")
    monkeypatch.setenv("COLLECTOR_URL", collector.url)
    collector.clear()
    application = _APPLICATION.get(worker, "all_handlers")
    options = ["--worker-class", worker, "--workers", "2", "--config", "python:all_handlers", *preload]
    options += ["--timeout", str(_WORKER_TIMEOUT), "--graceful-timeout", "120"]
    if worker == "gthread":
        options += ["--threads", "4"]

    with serving(tmp_path, lambda fd: ["-m", "gunicorn", *options, "--bind", f"fd://{fd}", application]) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 2 and len(load.answered) > 50)
            unanswered = set(load.unanswered)
            before = set(load.workers)
            server.process.send_signal(signal.SIGHUP)
            server.wait_until(lambda: len(load.workers) == 4)
            killed = min(load.workers - before)  # gunicorn starts no other in the place of an old one
            os.kill(killed, signal.SIGKILL)
            server.wait_until(lambda: len(load.workers) >= 5)
        server.stop()
    by_killed = load.ids({request for request, worker in load.answered_by.items() if worker == killed})
    certain, possible = load.ids(load.answered) - by_killed, load.ids(load.unanswered) | by_killed

    assert not unanswered
    assert "WORKER TIMEOUT" not in server.output
    assert_exactly_once(_of_app(read_back(tmp_path / "app.log")), certain | by_killed, possible)
    for name in ("thread.log", "process.log"):
        assert_exactly_once(_of_app(read_back(tmp_path / name)), certain, possible)
    for service in ("handler", "client"):
        assert_exactly_once(_stored(collector, service), certain, possible)


def _of_app(records: list[Record]) -> list[Record]:
    return [record for record in records if record.logger == "app"]


def _stored(collector: Collector, service: str) -> list[Record]:
    """Return the records of the applications that the collector has stored."""
    rows = collector.select(f"SELECT message FROM logs WHERE service = '{service}' AND message LIKE 'record %'")
    return [Record(0, 0, "app", message, service) for (message,) in rows]
