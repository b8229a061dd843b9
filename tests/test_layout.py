"""The layout that docs/contributing.md describes: its paths exist, imports go one way, a name means one thing."""

import ast
import graphlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import DOCS, ROOT

PACKAGE = ROOT / "concurrent_log"
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}

# What each part may import of the package, besides itself and `internal`.
ALLOWED = {
    "files": set(),
    "internal": set(),
    "console": set(),
    "background": set(),
    "handlers": {"files"},
    "dated": {"files"},
    "settings": {"loggers"},
    "loggers": {"handlers", "dated", "background", "console"},
    "collector.client": {"background"},
    "collector.store": set(),
    "collector.server": {"collector.store", "collector.javascript_package"},
    "health": set(),
}


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of what a module imports of the package, at any level of the code."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES or f"{full}.__init__" in MODULES else node.module


def parts_of(path: Path) -> Iterator[str]:
    """Yield the names below the package that a module imports, such as ``files.lock_file``."""
    for name in imports(path):
        if name.startswith("concurrent_log."):
            yield name.removeprefix("concurrent_log.")


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_go_one_way(part: str) -> None:
    """A part imports itself, `internal`, and what the map says."""
    folder = PACKAGE.joinpath(*part.split("."))
    files = folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
    allowed = {part, "internal", *ALLOWED[part]}
    wrong = {
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files
        for name in parts_of(path)
        if not any(name == other or name.startswith(f"{other}.") for other in allowed)
    }

    assert wrong == set()


def test_no_module_imports_itself_through_others() -> None:
    """There is no circle of imports, also not through imports inside functions."""
    graph = {
        name.removesuffix(".__init__"): {
            other for other in imports(path) if other in MODULES or f"{other}.__init__" in MODULES
        }
        for name, path in MODULES.items()
    }
    sorter = graphlib.TopologicalSorter({name: others - {name} for name, others in graph.items()})

    sorter.prepare()  # raises CycleError with the circle


def test_class_names_mean_one_thing() -> None:
    """No two public or private classes of the package have the same name."""
    names = Counter(
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    )

    assert {name for name, count in names.items() if count > 1} == set()


@pytest.mark.parametrize("page", ["contributing.md", "design.md", "releasing.md"])
def test_paths_in_the_documentation_exist(page: str) -> None:
    """Every path of this project that a page for contributors names is there."""
    text = (DOCS / page).read_text("utf-8")
    paths = re.findall(r"`((?:concurrent_log|tests|docs|\.github|internal|files)/[\w./-]*)`", text)

    assert [path for path in paths if not any((base / path).exists() for base in (ROOT, PACKAGE))] == []
    assert paths or page != "contributing.md"
