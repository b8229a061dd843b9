"""A logger created directly and registered, and one with every option. The exit of the program closes them."""

import logging

from concurrent_log.loggers import AsyncLoggerCore, get_logger, register_logger

custom_log = AsyncLoggerCore(
    name="custom",
    log_dir="logs/custom",
    log_level=logging.DEBUG,
    console_output=True,
    file_output=True,
)

register_logger("custom", custom_log)

custom_log.debug("디버그 로그")

log = get_logger(
    name="app",
    log_dir="logs",
    log_level=logging.INFO,
    console_output=True,
    file_output=True,
    max_bytes=10 * 1024 * 1024,
    backup_count=5,
    reuse=True,
)


def main():
    """Log from a function."""
    log.info("함수 안에서")


main()
