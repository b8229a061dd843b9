"""What all tests share."""

import importlib.util
import os
import uuid
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

pytest.register_assert_rewrite("counting", "serving")


def _do_without(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything that tests can use has to be there."""
    if os.environ.get("CONCURRENT_LOG_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """Return what skips a test where a module is not installed, and fails it where everything has to be."""

    def installed_or_skip(module: str) -> None:
        if importlib.util.find_spec(module) is None:
            _do_without(f"{module} is not installed: pip install {module}")

    return installed_or_skip


@pytest.fixture
def redis_keys(require: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Return the address of a Redis server, and the prefix of the keys that the test may use there.

    The environment variable ``REDIS_URL`` names the server. Where none answers, the test does as where a module is
    not installed.
    """
    require("redis")
    import redis

    url, prefix = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), f"concurrent_log-{uuid.uuid4()}-"
    with redis.Redis.from_url(url, socket_connect_timeout=5) as server:
        try:
            server.ping()
        except redis.RedisError as error:
            _do_without(f"no Redis server answers at {url} ({error}): start one, or name yours in REDIS_URL")
        yield url, prefix
        for key in server.scan_iter(f"{prefix}*"):
            server.delete(key)
