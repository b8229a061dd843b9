"""Programs that send numbered records to a collector, and what arrived."""

import subprocess
from pathlib import Path

from support.collector_server import Server
from support.deadlines import DEADLINE
from support.paths import PROGRAMS
from support.processes import environment


def run_sender(command: list[str], folder: Path = PROGRAMS) -> None:
    """Run a program, which must succeed."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr


def stored_numbers(server: Server) -> list[int]:
    """Return the numbers in the messages of all records, sorted."""
    messages = [message for (message,) in server.select("SELECT message FROM logs")]
    return sorted(int(message.split()[1]) for message in messages)
