"""Random Node.js programs that end in random ways, with a server that fails at random: each record is stored once."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.fake_collector import Behaviour, Collector, Request
from support.node import Node

_ENDS = ["nothing", "exit", "throw", "reject", "SIGTERM", "SIGINT", "SIGHUP", "handled", "thread"]
_STATUSES = {"exit": 7, "throw": 1, "reject": 1, "handled": 5, "SIGTERM": -15, "SIGINT": -2, "SIGHUP": -1}

# Prints the number of its records in the same turn of the event loop, so that no signal comes in between.
_PROGRAM = """
    import { writeSync } from "node:fs";
    import { Worker, isMainThread } from "node:worker_threads";

    const { seed, end, bursts, client } = JSON.parse(process.env.PLAN);
    let state = seed;
    const random = (below) => (state = (state * 48271) % 2147483647) % below;
    const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    let logger;
    let count = 0;
    function log(records) {
      for (let i = 0; i < records; i++) logger.info("x", { number: count++, text: "y".repeat(random(200)) });
      writeSync(1, `${count}\\n`);
    }
    async function work() {
      logger = createLogClient(process.env.URL, client);
      if (end === "handled") process.once("SIGTERM", () => setTimeout(() => { log(2); process.exit(5); }, random(50)));
      process.on("exit", () => log(1));
      for (let burst = 0; burst < bursts; burst++) {
        log(random(random(3) ? 50 : 800));
        if (random(2)) await pause(random(60));
        if (random(8) === 0) random(2) ? logger.flush() : logger.close();
        process.on("exit", () => log(1));
      }
      if (end === "exit") process.exit(7);
      if (end === "throw") throw new Error("thrown");
      if (end === "reject") Promise.reject(new Error("rejected"));
      if (end.startsWith("SIG") || end === "handled") {
        process.kill(process.pid, end === "handled" ? "SIGTERM" : end);
        await pause(60000);
      }
    }
    if (end === "thread" && isMainThread) new Worker(new URL(import.meta.url));
    else await work();
"""


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [9, pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_each_record_is_stored_once(program: Callable[[str], str], tmp_path: Path, rounds: int) -> None:
    """P1: however a program ends, and whatever the server responds, each record is stored once, in order."""
    seed = int(time.time())
    for number in range(rounds):
        _round(Node(program("node"), tmp_path), seed + number, _ENDS[number % len(_ENDS)])


def _round(node: Node, seed: int, end: str) -> None:
    draw = random.Random(seed)
    collector = Collector().start()
    collector.behave = _failing_at_random(draw)
    client = {
        "batchSize": draw.choice([20, 300, 1000]),
        "flushInterval": draw.choice([0, 5, 100, 60_000]),
        "compressFrom": draw.choice([1, 100]),
        "stopTimeout": 100_000,
    }
    plan = {"seed": draw.randrange(1, 2**31 - 1), "end": end, "bursts": draw.randrange(1, 8), "client": client}
    try:
        ended = node.run("", _PROGRAM, PLAN=json.dumps(plan), URL=collector.url)
        stored = [record["number"] for record in collector.logs]
    finally:
        collector.stop()
    count = int(ended.stdout.split()[-1])
    details = f"seed {seed}, {plan}: {ended.stderr}"

    assert ended.status == _STATUSES.get(end, 0), details
    assert stored == list(range(count)), details
    assert "lost" not in ended.stderr, details
    assert "could not be sent" not in ended.stderr, details


def _failing_at_random(draw: random.Random) -> Behaviour:
    """Return a behaviour that accepts two requests in three; no three in a row fail."""
    failures = 0

    def behave(request: Request) -> "tuple[int, dict[str, str]] | str | None":
        nonlocal failures
        time.sleep(draw.choice([0, 0, 0, 0.05]))
        if len(request.body["logs"]) > 1 and draw.random() < 0.1:
            return draw.choice([400, 413]), {}
        if failures >= 2 or draw.random() < 0.67:
            failures = 0
            return None
        failures += 1
        return draw.choice(["lose", (503, {}), (429, {"Retry-After": "1"}), (500, {}), (408, {}), (401, {})])

    return behave
