"""Processes that all create the same loggers. Arguments: start method and worker."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from concurrent_log.loggers import FileLogger, Logger, get_logger


def work(task):
    """Log a hundred records through each of the two kinds of loggers."""
    log = get_logger("pool", console_output=False, max_bytes=5000, backup_count=999, worker=sys.argv[2])
    if not Logger.is_active():
        Logger.init(FileLogger(use_console=False, prefix="Pool", timezone="KST", max_file_size_kb=5))
    for number in range(100):
        log.info("%d-%d", task, number)
        Logger.info(f"{task}-{number}")
        if number % 50 == 0:
            log.error("%d-%d", task, -number)


def main():
    """With "fork", let the children inherit the loggers; otherwise let them create their own."""
    if sys.argv[1] == "fork":
        work(100)
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
        list(pool.map(work, range(8)))


if __name__ == "__main__":
    main()
