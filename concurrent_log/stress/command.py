"""The command ``stress``: its options, its output, its exit status."""

import argparse
import ast
import contextlib
import dataclasses
import importlib.util
import json
import multiprocessing
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from concurrent_log.stress.runner import Plan, Result, run

OURS = "logging.handlers.ConcurrentTimedRotatingFileHandler"
_OURS_BY_MODULE = "concurrent_log.ConcurrentTimedRotatingFileHandler"
STANDARD = "logging.handlers.TimedRotatingFileHandler"
PEERS = ("concurrent_log_handler.ConcurrentTimedRotatingFileHandler",)

_RECORDS, _THREADS = 200_000, 8
_FULL_RECORDS, _FULL_THREADS = 500_000, 100

_REMEDY = (
    "rich draws the table and is not installed: use --json, or run python -m pip install '.[stress]' in a checkout"
)


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "stress", help="log from many processes, read everything back and count", description=_DESCRIPTION
    )
    parser.set_defaults(run=main)
    parser.add_argument(
        "--processes",
        type=_positive,
        default=max(4, os.cpu_count() or 1),
        metavar="N",
        help="worker processes (default: %(default)s)",
    )
    parser.add_argument("--threads", type=_positive, metavar="N", help=f"threads in each process (default: {_THREADS})")
    parser.add_argument("--records", type=_positive, metavar="N", help=f"records in all (default: {_RECORDS:,})")
    parser.add_argument(
        "--full", action="store_true", help=f"{_FULL_RECORDS:,} records from {_FULL_THREADS} threads a process"
    )
    parser.add_argument("--when", default="S", help="when the handler rolls over (default: %(default)s, every second)")
    parser.add_argument(
        "--directory",
        metavar="PATH",
        help="create the files in a new folder there, and keep it; by default in a temporary folder",
    )
    parser.add_argument(
        "--start-method",
        choices=multiprocessing.get_all_start_methods(),
        default=multiprocessing.get_start_method(),
        help="how processes are started (default: %(default)s)",
    )
    parser.add_argument("--kill", type=_count, default=0, metavar="N", help="kill N workers during the test")
    parser.add_argument("--handler", default=OURS, metavar="NAME", help="the handler class (default: %(default)s)")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="an additional argument for the handler; may be repeated",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="also run the standard class and installed peers; the exit status is that of --handler",
    )
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")


_DESCRIPTION = """Log numbered records from many processes and threads while the file rolls over, read all files back,
and count lost, duplicated, torn and misplaced records. The exit status is 0 if there are none, 1 if there are some,
2 if the test could not be run."""


def main(options: argparse.Namespace) -> int:
    """Run the test and return the exit status."""
    try:
        return _run(options)
    except (ValueError, OSError) as error:
        print(f"concurrent-log stress: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"concurrent-log stress: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("concurrent-log stress: interrupted", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    if not options.json and importlib.util.find_spec("rich") is None:
        raise ValueError(_REMEDY)
    results = [_run_one(_plan(options, handler), options) for handler in _handlers(options)]
    if options.json:
        print(json.dumps({"ok": results[-1].tally.ok, "runs": [_as_json(result) for result in results]}, indent=2))
    else:
        _show(results, options)
    return 0 if results[-1].tally.ok else 1


def _handlers(options: argparse.Namespace) -> list[str]:
    """Return the handler classes to run; the last one is the one under test."""
    if not options.compare:
        return [options.handler]
    # concurrent-log-handler registers its class under the same name in logging.handlers.
    tested = _OURS_BY_MODULE if options.handler == OURS else options.handler
    return [name for name in (STANDARD, *filter(_is_installed, PEERS)) if name != tested] + [tested]


def _is_installed(class_name: str) -> bool:
    return importlib.util.find_spec(class_name.partition(".")[0]) is not None


def _plan(options: argparse.Namespace, handler: str) -> Plan:
    return Plan(
        handler=handler,
        processes=options.processes,
        threads=options.threads or (_FULL_THREADS if options.full else _THREADS),
        records=options.records or (_FULL_RECORDS if options.full else _RECORDS),
        start_method=options.start_method,
        kill=options.kill,
        options={"when": options.when, "encoding": "utf-8", "delay": True},
        required=dict(options.option) if handler == _handlers(options)[-1] else {},
    )


def _run_one(plan: Plan, options: argparse.Namespace) -> Result:
    with _folder(options) as folder, _progress(plan, options) as progress:
        return run(plan, folder, progress)


@contextlib.contextmanager
def _folder(options: argparse.Namespace) -> Iterator[str]:
    if options.directory:
        yield tempfile.mkdtemp(prefix="stress-", dir=os.path.abspath(options.directory))
        return
    with tempfile.TemporaryDirectory(prefix="stress-", ignore_cleanup_errors=True) as folder:
        yield folder


@contextlib.contextmanager
def _progress(plan: Plan, options: argparse.Namespace) -> Iterator[Callable[[int], None]]:
    if options.json:
        yield lambda done: None
        return
    from concurrent_log.stress import table

    with table.progress_bar(plan.handler, plan.records) as progress:
        yield progress


def _show(results: Sequence[Result], options: argparse.Namespace) -> None:
    from concurrent_log.stress import table

    plan = _plan(options, options.handler)
    title = f"{plan.records:,} records, {plan.processes} processes of {plan.threads} threads, {plan.start_method}"
    table.show(results, f"{title}, Python {platform.python_version()}")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "handler": result.handler,
        "ok": result.tally.ok,
        **dataclasses.asdict(result.tally),
        "lost": result.tally.lost,
        "rollovers": result.tally.rollovers,
        "killed": result.killed,
        "seconds": round(result.seconds, 3),
        "records_per_second": round(result.records_per_second),
        "errors": dict(result.errors),
    }


def _positive(text: str) -> int:
    if _count(text) == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name.isidentifier() or not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value
