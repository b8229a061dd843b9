"""uWSGI with gevent, with threads, and with lazy applications: every handler gets each record once."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.collector_server import Server as Collector
from support.processes import Load, serving
from support.record_counter import Record, assert_exactly_once, backups, records_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="uWSGI needs fork")]

_MODES = {
    "gevent": ["--gevent", "20", "--gevent-monkey-patch"],
    "gevent, lazy": ["--gevent", "20", "--gevent-early-monkey-patch", "--lazy-apps"],
    "threads, lazy": ["--enable-threads", "--threads", "2", "--lazy-apps"],
}


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Return a running collector."""
    for module in ("pyuwsgi", "msgspec", "tenacity", "urllib3", "fastapi", "uvicorn"):
        pytest.importorskip(module)
    folder = tmp_path / "collector"
    folder.mkdir()
    with Collector(folder, str(folder / "logs.sqlite3")) as server:
        yield server


@pytest.mark.parametrize("options", _MODES.values(), ids=_MODES)
def test_mode_loses_no_record(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """P1, P8: under load, until the server is stopped with records in its queues."""
    if "gevent" in options[0]:
        pytest.importorskip("gevent")
    monkeypatch.setenv("COLLECTOR_URL", collector.url)
    start = ["-c", "import pyuwsgi; pyuwsgi.run()", "--master", "--die-on-term", "--need-app", "--processes", "2"]
    start += ["--module", "all_handlers_configured", *options]

    with serving(tmp_path, lambda fd: [*start, "--http-socket", f"fd://{fd}"]) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 2 and len(load.answered) > 100)
        server.stop()
    expected = load.ids(load.answered)

    assert not load.unanswered
    for records in _read_all(tmp_path, collector):
        assert_exactly_once(records, expected)


def _read_all(folder: Path, collector: Collector) -> list[list[Record]]:
    """Return what each handler, and the client, has written or sent."""
    found = []
    for name in ("app.log", "thread.log", "process.log"):
        paths = [path for path in (*backups(folder / name), folder / name) if path.exists() and path.stat().st_size]
        found.append([record for path in paths for record in records_of(path)])
    for service in ("handler", "client"):
        rows = collector.select(f"SELECT message FROM logs WHERE service = '{service}' AND message LIKE 'record %'")
        found.append([Record(0, 0, "app", message, service) for (message,) in rows])
    return found
