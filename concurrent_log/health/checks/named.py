"""A check that somebody else wrote, by its name."""

import importlib
from collections.abc import Callable
from typing import Any


def named(name: str) -> Callable[[], Any]:
    """Return the function that ``name`` names: ``shop.health:check_payments``.

    Raises:
        ValueError: There is no such module, or no such function in it.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise ValueError(f"{name!r} must be the name of a module and of a function: shop.health:check_payments")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):  # It is there, but not all that it imports.
            raise
        raise ValueError(f"{name!r} names the module {module!r}, which is not there") from None
    for part in function.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ValueError(f"{name!r} names no function of the module {module!r}")
    return found  # type: ignore[no-any-return]  # what is callable
