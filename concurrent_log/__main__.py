"""The command line: ``python -m concurrent_log COMMAND``, and the console script ``concurrent-log``."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from concurrent_log import __version__
from concurrent_log.collector import javascript_package
from concurrent_log.collector.demo import command as demo
from concurrent_log.collector.server import command as serve
from concurrent_log.collector.server import key_command as key
from concurrent_log.health import command as monitor
from concurrent_log.stress import command as stress


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with a message of one line; ``--help`` shows the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments``, by default those of this process, and return the exit status."""
    parser = _Parser(prog="concurrent-log", description="Rotating log files for programs of more than one process.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve.add_command(commands)
    key.add_command(commands)
    demo.add_command(commands)
    javascript_package.add_command(commands)
    monitor.add_command(commands)
    stress.add_command(commands)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
