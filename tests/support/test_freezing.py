"""A process that was frozen does nothing from the moment on at which `freeze` returns."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.freezing import freeze, freeze_group

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc")

# Two threads count into a shared file; the main thread sleeps.
_COUNTING = """
import mmap, sys, threading, time
file = open(sys.argv[1], "r+b")
shared = mmap.mmap(file.fileno(), 16)
def count(place):
    while True:
        shared[place:place + 8] = (int.from_bytes(shared[place:place + 8], "little") + 1).to_bytes(8, "little")
for place in (0, 8):
    threading.Thread(target=count, args=(place,), daemon=True).start()
print("counting", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("of_group", [False, True], ids=["process", "group"])
def test_frozen_process_does_nothing(tmp_path: Path, of_group: bool) -> None:
    """Two threads of it count, and stop counting."""
    counts = tmp_path / "counts"
    counts.write_bytes(bytes(16))
    with subprocess.Popen(
        [sys.executable, "-c", _COUNTING, str(counts)], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = []
        for _ in range(20):
            (freeze_group if of_group else freeze)(process.pid)
            before = counts.read_bytes()
            time.sleep(0.005)  # long enough for a running thread to count
            found.append(counts.read_bytes() == before)
            process.send_signal(signal.SIGCONT)
        process.kill()

    assert found == [True] * 20
