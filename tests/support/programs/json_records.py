"""Processes whose records structlog or python-json-logger formats. Arguments: formatter, form of records."""

import copy
import logging.config
import multiprocessing
import sys
import time
from glob import glob
from itertools import count, cycle

import structlog
import writing

LENGTHS = (0, 10, 5_000, 100_000)  # characters; the last exceeds the buffer of a pipe


def _add_origin(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    record = event["_record"]
    return {**event, "created": record.created, "process": record.process, "name": record.name}


def formatter(name: str, indent: int | None) -> dict[str, object]:
    """Return the configuration of a formatter; with ``indent``, its records have many lines."""
    if name == "json-logger":
        fields = ["created", "process", "name", "message", "exc_info"]
        return {"()": "pythonjsonlogger.json.JsonFormatter", "fmt": fields, "json_indent": indent}
    processors = [
        _add_origin,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(indent=indent),
    ]
    return {"()": structlog.stdlib.ProcessorFormatter, "processors": processors}


def configure(name: str, lines: str) -> None:
    """Configure the logger ``app``, with "background" behind a `BackgroundHandler`, and structlog on top of it."""
    configuration = copy.deepcopy(writing.CONFIGURATION)
    configuration["formatters"]["line"] = formatter(name, 2 if lines == "many-lines" else None)
    if lines == "background":
        configuration["handlers"]["background"] = {"class": "concurrent_log.BackgroundHandler", "handlers": ["file"]}
        configuration["loggers"]["app"]["handlers"] = ["background"]
    logging.config.dictConfig(configuration)
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def work(name: str, lines: str, source: str) -> None:
    """Log records of all lengths, each with a traceback, until the file has rolled over twice."""
    configure(name, lines)
    logger = structlog.get_logger("app") if name == "structlog" else logging.getLogger("app")
    lengths = cycle(LENGTHS)
    for number in count():
        if len(glob("app.log.*")) >= 2:
            writing.report(f"{source} {number}")
            return
        length = next(lengths)
        try:
            raise ValueError(f"{source}\n{number}")
        except ValueError:
            logger.exception(f"record {source}-{number} {'x' * length} {length}")
        time.sleep(0.005)  # limits the number of records that the test reads back


if __name__ == "__main__":
    name, lines = sys.argv[1:]
    workers = [multiprocessing.Process(target=work, args=(name, lines, source)) for source in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
