"""What all tests share."""

import importlib.util
import os
from collections.abc import Callable

import pytest

pytest.register_assert_rewrite("counting", "serving")


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """Return what skips a test where a module is not installed, and fails it where everything has to be."""

    def installed_or_skip(module: str) -> None:
        if importlib.util.find_spec(module) is None:
            _skip_or_fail(f"{module} is not installed: pip install {module}")

    return installed_or_skip


@pytest.fixture(scope="session")
def root() -> None:
    """Skip, or fail, a test that only root can run."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        _skip_or_fail("only root can do this: run the tests as root")


def _skip_or_fail(reason: str) -> None:
    """Skip a test for want of something, or fail it where everything has to be there."""
    if os.environ.get("CONCURRENT_LOG_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
