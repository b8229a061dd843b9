"""Run a torture test: ``python tests/torture files --minutes 10``, or ``collector`` in place of ``files``."""

import importlib
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # instead of this folder: modules are imported as torture.NAME
_KINDS = ("files", "collector")


def main() -> int:
    """Run the command for the kind of test in the first argument, and return its exit status."""
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    if kind not in _KINDS:
        print(f"usage: python tests/torture {{{','.join(_KINDS)}}} [--help]", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"torture.{kind}_command").main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
