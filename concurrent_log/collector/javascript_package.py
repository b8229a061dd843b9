"""The folder of the JavaScript client, an npm package, and the command ``javascript``, which prints it."""

import argparse
import pathlib
from typing import Any

FOLDER = pathlib.Path(__file__).parent / "javascript"


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    description = "print the folder of the JavaScript client, for npm install"
    parser = commands.add_parser("javascript", help=description, description=description.capitalize())
    parser.set_defaults(run=main)


def main(_: argparse.Namespace) -> int:
    """Print the folder, and return the exit status."""
    print(FOLDER)
    return 0
