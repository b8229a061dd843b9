"""The records of the page's list, in Node.js: where a live tail skipped some, whatever the order of the events."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from support.deadlines import DEADLINE
from support.paths import ROOT

# `answer(from, to)` ends the request of a page with the records of this range; `show` returns texts and gaps.
_PROGRAM = """
import {{ Records }} from "{module}";
globalThis.document = {{ baseURI: "http://localhost/" }};
const records = (from, to) => Array.from({{ length: to - from }}, (_, i) => {{
  const number = from + i;
  return {{ id: String(1000 + number), created_at: new Date(1e12 + number * 1000).toISOString() }};
}}).reverse();
let answer;
globalThis.fetch = () => new Promise((resolve) => {{
  answer = (from, to) => resolve(new Response(JSON.stringify({{ logs: records(from, to), next: null }})));
}});
const list = new Records(() => {{}});
const load = async (from, to, meanwhile = () => {{}}) => {{
  const loaded = list.load({{}});
  meanwhile();
  answer(from, to);
  await loaded;
}};
{script}
console.log(JSON.stringify(list.items.map((item) => (item.gap ? {{ gap: item.gap }} : Number(item.id) - 1000))));
"""


@pytest.fixture
def shown(program: Callable[[str], str]) -> Callable[[str], list[Any]]:
    """Return a function that runs a script, and returns the list: numbers of records, and gaps."""
    node = program("node")
    module = (ROOT / "concurrent_log" / "collector" / "web" / "records.js").as_uri()

    def run(script: str) -> list[Any]:
        done = subprocess.run(
            [node, "--input-type=module", "--eval", _PROGRAM.format(module=module, script=script)],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, done.stderr
        items: list[Any] = json.loads(done.stdout)
        return items

    return run


def test_skipped_records_are_one_gap_below_the_new_ones(shown: Callable[[str], list[Any]]) -> None:
    """One event with the number, and the newest records."""
    assert shown("await load(0, 1); list.add(records(8, 10), 7);") == [9, 8, {"gap": 7}, 0]


def test_gap_that_comes_in_two_events_is_one_gap(shown: Callable[[str], list[Any]]) -> None:
    """A busy browser delivers the number of skipped records before the records themselves."""
    assert shown("await load(0, 1); list.add([], 5); list.add(records(8, 10), 2);") == [9, 8, {"gap": 7}, 0]


def test_gaps_with_records_between_them_stay_two(shown: Callable[[str], list[Any]]) -> None:
    """Each shows its own records."""
    found = shown("await load(0, 1); list.add(records(4, 5), 3); list.add(records(9, 10), 4);")

    assert found == [9, {"gap": 4}, 4, {"gap": 3}, 0]


def test_gap_of_a_live_tail_remains_when_a_page_is_loaded_meanwhile(shown: Callable[[str], list[Any]]) -> None:
    """The page was read before the records arrived: what was skipped is not in it."""
    assert shown("await load(0, 1, () => list.add(records(8, 10), 7));") == [9, 8, {"gap": 7}, 0]


def test_page_that_has_the_skipped_records_shows_no_gap(shown: Callable[[str], list[Any]]) -> None:
    """The page was read after the records arrived, so that the list has all of them."""
    script = "list.add([], 5); list.add(records(8, 9), 2); list.add(records(9, 11), 0);"
    found = shown(f"await load(0, 10, () => {{ {script} }});")

    assert found == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
