"""Where the JavaScript client is, an npm package; and the command ``javascript``, which says so."""

import argparse
import pathlib
from typing import Any

FOLDER = pathlib.Path(__file__).parent / "javascript"


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    what = "print the folder of the JavaScript client, for npm install"
    commands.add_parser("javascript", help=what, description=what.capitalize()).set_defaults(run=main)


def main(_: argparse.Namespace) -> int:
    """Print the folder, and return the exit status."""
    print(FOLDER)
    return 0
