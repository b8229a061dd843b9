"""Tasks in the background survive every exception, and clocks that jump."""

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from concurrent_log.collector.server import background_tasks
from concurrent_log.collector.server.background_tasks import BackgroundTasks
from concurrent_log.collector.server.retention import ClockCheck
from support.collector_server import execute
from support.processes import wait_until

_DAY = 86_400.0


@pytest.mark.parametrize("error", [ValueError("a"), KeyError("b"), RuntimeError(), asyncio.TimeoutError()])
def test_no_exception_ends_a_task(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task is tried again after any exception; its state says so, and stderr says it once."""
    monkeypatch.setattr(background_tasks, "_RETRY_INTERVAL", 0.01)
    calls: list[str | None] = []

    async def test() -> None:
        tasks, done = BackgroundTasks(), asyncio.Event()

        async def action() -> None:
            calls.append(tasks.states["cleaning"].error)
            if len(calls) <= 3:
                raise error
            done.set()

        tasks.start("cleaning", action, 3600)
        await done.wait()
        await asyncio.sleep(0)
        assert tasks.states["cleaning"].error is None
        assert tasks.states["cleaning"].last_success is not None
        await tasks.stop()

    asyncio.run(test())

    assert calls[0] is None
    assert all(calls[1:])
    assert capsys.readouterr().err.count("'cleaning' failed") == 1


def test_clock_that_jumps_ahead_is_doubted_for_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    """Retention does not go by a clock that is a year ahead, at a start or later, unless it stays so for a day."""
    clock = ClockCheck(now=100 * _DAY, monotonic=0)

    assert clock.is_plausible(100.5 * _DAY, 0.5 * _DAY)
    assert not clock.is_plausible(465 * _DAY, 0.6 * _DAY)
    assert not clock.is_plausible(466 * _DAY, 1.5 * _DAY)
    assert clock.is_plausible(466.2 * _DAY, 1.7 * _DAY)
    assert not ClockCheck(now=100 * _DAY, monotonic=5).is_plausible(465 * _DAY, 5)
    assert capsys.readouterr().err.count("ahead of the last record") == 2


def test_corrected_clock_is_believed() -> None:
    """After the correction, retention goes on at once."""
    clock = ClockCheck(now=100 * _DAY, monotonic=0)

    assert not clock.is_plausible(465 * _DAY, 0)
    assert clock.is_plausible(100.1 * _DAY, 0.1 * _DAY)


@pytest.mark.slow
def test_role_that_may_not_log_in_is_a_temporary_state(postgres: str, start: StartServer) -> None:
    """Requests get 503 with a reason, and no traceback; later all work again, also the tasks."""
    from urllib.parse import urlsplit

    role = f"role_{urlsplit(postgres).path.rpartition('_')[2]}"
    execute(postgres, f"CREATE ROLE {role} LOGIN SUPERUSER")
    parts = urlsplit(postgres)
    address = parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port or 5432}").geturl()
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
    try:
        server = start(address, "--retention-days", "1")
        server.send([{"message": "one"}])
        wait_until(lambda: server.get("/health")["tasks"]["retention by age"]["last_success"])
        execute(postgres, f"ALTER ROLE {role} NOLOGIN")
        execute(postgres, kill)
        wait_until(lambda: server.ask("POST", "/logs", b'{"logs": [{}]}')[0] == 503)
        status, answer, _ = server.ask("GET", "/logs")

        assert status == 503
        assert "refuses the user" in answer["detail"]
        wait_until(lambda: server.ask("GET", "/health")[0] == 503)
        execute(postgres, f"ALTER ROLE {role} LOGIN")
        wait_until(lambda: server.ask("POST", "/logs", b'{"logs": [{}]}')[0] == 200)
        wait_until(lambda: server.ask("GET", "/health")[0] == 200)
        tasks = server.get("/health")["tasks"]
        assert list(tasks) == ["partitions", "retention by age"]
        assert "Traceback" not in server.errors
        server.kill()
    finally:
        execute(postgres, kill)
        execute(postgres, f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")


def test_failed_write_is_shown_by_health(start: StartServer, tmp_path: Path) -> None:
    """While batches cannot be written, /health is 503 also for a database that can be read."""
    database = tmp_path / "logs.sqlite3"
    server = start(str(database))
    server.send([{"message": "one"}])
    execute(str(database), "CREATE TRIGGER refuse BEFORE INSERT ON logs BEGIN SELECT RAISE(ABORT, 'no'); END;")
    execute(str(database), "CREATE TRIGGER refuse_too BEFORE INSERT ON batches BEGIN SELECT RAISE(ABORT, 'no'); END;")

    assert server.ask("POST", "/logs", b'{"logs": [{}]}')[0] == 503
    wait_until(lambda: server.ask("GET", "/health")[0] == 503)
    assert server.get("/logs")["logs"]
    execute(str(database), "DROP TRIGGER refuse; DROP TRIGGER refuse_too;")
    wait_until(lambda: server.ask("GET", "/health")[0] == 200)
