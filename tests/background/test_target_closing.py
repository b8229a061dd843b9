"""The list of handlers that `logging` closes, while handlers that write in the background join it."""

import logging
import weakref
from typing import Any

import pytest

from concurrent_log.background.target_closing import let_workers_close


class _Dying(weakref.ref[logging.Handler]):
    """A reference that removes itself from the list when it is asked, as the garbage collector may do."""

    def __call__(self) -> Any:
        if self in logging._handlerList:  # type: ignore[attr-defined]
            logging._handlerList.remove(self)  # type: ignore[attr-defined]
        return None


def test_handler_that_is_collected_meanwhile_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """P4: the constructor raised `IndexError`."""
    dying, target = logging.NullHandler(), logging.StreamHandler()
    monkeypatch.setattr(logging, "_handlerList", [_Dying(dying), weakref.ref(target)])
    let_workers_close([target])

    closing: Any = logging._handlerList[-1]()  # type: ignore[attr-defined]
    assert closing._handler is target
