"""Private names that programs written for the older "Core Service" monitor use, on `ServiceMonitor`.

Such programs subclass the monitor with methods ``_check_NAME``, call ``_record_success`` and ``_record_failure`` in
them, read ``_service_health`` and ``_monitoring_active``, and set ``_check_interval``, ``_failure_threshold`` and
``_recovery_timeout``. They run with only their imports changed.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from concurrent_log.health.check_policy import CheckPolicy
from concurrent_log.health.check_runner import CheckOutcome
from concurrent_log.health.redaction import redact
from concurrent_log.health.service import Service
from concurrent_log.health.status import CheckFailed, ServiceHealth

if TYPE_CHECKING:

    class _MonitorInterface:
        """The part of `ServiceMonitor` that this module uses."""

        policy: CheckPolicy

        @property
        def is_running(self) -> bool: ...
        def _service(self, name: str) -> Service: ...
        def add(self, name: str, check: Callable[[], Any]) -> None: ...
        def snapshot(self) -> dict[str, ServiceHealth]: ...
        async def check_all(self) -> dict[str, ServiceHealth]: ...
else:
    _MonitorInterface = object


class CoreServiceCompatibility(_MonitorInterface):
    """Adds the names of the older monitor to `ServiceMonitor`."""

    def _add_check_methods(self) -> None:
        """Add each method ``_check_NAME`` of a subclass as the check of a service NAME."""
        for attribute in dir(type(self)):
            if attribute.startswith("_check_") and not hasattr(CoreServiceCompatibility, attribute):
                name, method = attribute.removeprefix("_check_"), getattr(self, attribute)
                if callable(method):
                    self.add(name, functools.partial(method, name))

    def _record_success(self, service_name: str, response_time: float) -> None:
        """Report, from a check, that it succeeded; ``response_time`` is in milliseconds."""
        self._service(service_name).report(CheckOutcome(response_time / 1000))

    def _record_failure(self, service_name: str, error: str, response_time: float) -> None:
        """Report, from a check, that it failed; ``response_time`` is in milliseconds."""
        outcome = CheckOutcome(response_time / 1000, CheckFailed(redact(str(error))))
        self._service(service_name).report(outcome)

    async def _check_all_services(self) -> None:
        await self.check_all()

    @property
    def _service_health(self) -> dict[str, ServiceHealth]:
        return self.snapshot()

    @property
    def _monitoring_active(self) -> bool:
        return self.is_running

    @property
    def _check_interval(self) -> float:
        return self.policy.interval

    @_check_interval.setter
    def _check_interval(self, value: float) -> None:
        self.policy = replace(self.policy, interval=value)

    @property
    def _failure_threshold(self) -> int:
        return self.policy.failure_threshold

    @_failure_threshold.setter
    def _failure_threshold(self, value: int) -> None:
        self.policy = replace(self.policy, failure_threshold=value)

    @property
    def _recovery_timeout(self) -> float:
        return self.policy.recovery_timeout

    @_recovery_timeout.setter
    def _recovery_timeout(self, value: float) -> None:
        self.policy = replace(self.policy, recovery_timeout=value)
