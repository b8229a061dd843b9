"""Worker processes that log into a queue, and a listener that passes their records to our handler."""

import logging.handlers
import multiprocessing
from multiprocessing.queues import Queue

import writing


def work(queue: "Queue[logging.LogRecord]", source: str) -> None:
    """Log into the queue."""
    writing.attach(logging.handlers.QueueHandler(queue))
    writing.report(writing.log_until_rolled_over(source))


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue: "Queue[logging.LogRecord]" = context.Queue()
    writing.configure()
    listener = logging.handlers.QueueListener(queue, *logging.getLogger("app").handlers)
    listener.start()
    workers = [context.Process(target=work, args=(queue, source)) for source in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    listener.stop()
