"""Folders of this checkout that tests read."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
DOCS = ROOT / "docs"
PROGRAMS = TESTS / "support" / "programs"
