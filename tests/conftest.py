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
            reason = f"{module} is not installed: pip install {module}"
            if os.environ.get("CONCURRENT_LOG_REQUIRE_ALL") == "1":
                pytest.fail(reason)
            pytest.skip(reason)

    return installed_or_skip
