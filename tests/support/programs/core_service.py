"""A program written for the monitor, settings and loggers of another package, with only its imports changed."""

import asyncio
import sys
import time

from concurrent_log.health import ServiceMonitor
from concurrent_log.loggers import FileLogger, Logger, LogLevel
from concurrent_log.settings import parse_app_env, parse_log_level


class PaymentService:
    """Works at every second request, starting with the second one. After the last request, it hangs."""

    def __init__(self) -> None:
        self.requests, self.last = 0, int(sys.argv[-1])

    async def health_check(self) -> bool:
        """Return whether it works."""
        await asyncio.sleep(0)
        self.requests += 1
        if self.requests > self.last:
            await asyncio.Event().wait()
        return self.requests % 2 == 0


payments = PaymentService()


class ShopMonitor(ServiceMonitor):
    """The monitor with one more service."""

    async def _check_payments(self, service_name: str) -> None:
        start_time = time.time()
        try:
            if not await payments.health_check():
                raise Exception("payments do not work")
            self._record_success(service_name, (time.time() - start_time) * 1000)
        except Exception as error:
            self._record_failure(service_name, str(error), (time.time() - start_time) * 1000)


async def main() -> None:
    """Monitor for a short time, and log the result."""
    log_level, app_env = parse_log_level(), parse_app_env()
    Logger.init(FileLogger(log_level=log_level, use_console=False, prefix="shop", folder="logs", timezone="KST"))
    Logger.info(f"log level: {log_level}, environment: {app_env}")

    monitor = ShopMonitor()
    assert not monitor._monitoring_active
    assert monitor._service_health.get("database") is None
    assert (monitor._check_interval, monitor._failure_threshold, monitor._recovery_timeout) == (30, 3, 300)
    monitor._check_interval, monitor._failure_threshold, monitor._recovery_timeout = 0.01, 5, 600

    await monitor.start_monitoring()
    assert monitor._monitoring_active
    while payments.requests <= payments.last:  # Then the outcome of the last one has been recorded.
        await asyncio.sleep(0.001)
    await monitor.stop_monitoring()

    for service_name, health in monitor._service_health.items():
        assert health.response_time_ms >= 0
        Logger.info(f"{service_name}: {health.status}, {health.consecutive_failures}, {health.error_message}")
    Logger.close()


if __name__ == "__main__":
    assert parse_log_level(["logLevel=DEBUG", "other_arg=value"]) == LogLevel.DEBUG
    assert parse_log_level([]) == LogLevel.ALL
    assert parse_app_env(["app_env=LOCAL", "other_arg=value"]) == "LOCAL"
    asyncio.run(main())
