"""Results: the measured numbers, their bars, and their form in a JSON file."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

_SAME = ("CPU", "cores", "file system", "Python")  # what makes two runs comparable


@dataclass(frozen=True)
class Row:
    """Two ways to do the same work, side by side.

    Attributes:
        figure: The name of the figure this row belongs to; rows of one figure share a unit, or a few.
        title: What was done.
        against: What ours was compared with.
        unit: Of the measurements; "records/s" is better when higher, everything else when lower.
        ours: Our measurements, one for each pair.
        theirs: The other measurements, in the same order.
        ratios: Ours divided by theirs, for each pair.
        bar: The ratio that is promised, or None where a row is only said.
        goal: The ratio that is aimed for.
        lost: The most records that a run of each lost: ours, theirs.
        missing: Why there are no measurements; empty where there are.
        compared: "ratio", or "difference" where ``bar`` and ``goal`` say how much more ours may be, in the unit.
        plan: How a database did it, line by line; empty where none was asked for that.
    """

    figure: str
    title: str
    against: str
    unit: str
    ours: list[float]
    theirs: list[float]
    ratios: list[float]
    bar: float | None = None
    goal: float | None = None
    lost: tuple[int, int] = (0, 0)
    missing: str = ""
    compared: str = "ratio"
    plan: str = ""

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value is better."""
        return self.unit == "records/s"

    @property
    def ratio(self) -> float | None:
        """The median of the pairs' ratios; None where nothing was measured."""
        return median(self.ratios) if self.ratios else None

    @property
    def difference(self) -> float | None:
        """The median of what ours is more than theirs; None where nothing was measured."""
        if self.missing or not self.ours:
            return None
        return median(ours - theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def comparison(self) -> float | None:
        """The value that is compared with the bar: the ratio or the difference."""
        return self.difference if self.compared == "difference" else self.ratio

    @property
    def verdict(self) -> str:
        """The verdict: "goal met", "bar met", "missed", or empty without a bar."""
        if self.comparison is None or self.bar is None:
            return ""
        if self.goal is not None and self._reaches(self.goal):
            return "goal met"
        return "bar met" if self._reaches(self.bar) else "missed"

    def _reaches(self, limit: float) -> bool:
        comparison = round(self.comparison or 0, 2)  # as it is printed
        return comparison >= limit if self.higher_is_better else comparison <= limit


@dataclass(frozen=True)
class Curve:
    """A quantity as a function of another one.

    Attributes:
        figure: The name of the figure that the curve belongs to.
        title: What the plot shows.
        x: What is along the x axis.
        y: What is along the y axis.
        lines: The points by the label of their line.
        logarithmic: The letters of the axes that are.
        missing: Why a line could not be measured, by its label.
    """

    figure: str
    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]]
    logarithmic: str = ""
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """The results of the benchmarks on one machine.

    Attributes:
        date: When the last of them ran.
        earlier: The figures that ran before that, and when.
    """

    date: str
    command: str
    quick: bool
    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    earlier: dict[str, str] = field(default_factory=dict)

    def with_earlier(self, other: "Results") -> "Results":
        """Return these results, and those of ``other`` for the figures that these lack.

        Raises:
            ValueError: The other ones come from another machine: nothing can be said of both together.
        """
        for name in _SAME:
            if self.machine.get(name) != other.machine.get(name):
                raise ValueError(f"{name}: {self.machine.get(name)} now, {other.machine.get(name)} before")
        rows = [row for row in other.rows if not self.has(row.figure)]
        curves = [curve for curve in other.curves if not self.has(curve.figure)]
        earlier = {part.figure: other.earlier.get(part.figure, other.date) for part in (*rows, *curves)}
        order = list(dict.fromkeys(row.figure for row in (*other.rows, *self.rows)))
        rows = sorted(rows + self.rows, key=lambda row: order.index(row.figure))
        return replace(self, rows=rows, curves=curves + self.curves, earlier=earlier)

    def has(self, figure: str) -> bool:
        """Return whether there is a result for the figure of that name."""
        return any(part.figure == figure for part in (*self.rows, *self.curves))

    def save(self, path: Path) -> None:
        """Write the results to a JSON file, without bars and goals: those are of the figures."""
        content: Any = _rounded(asdict(self))
        for row in content["rows"]:
            del row["bar"], row["goal"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read the results that `save` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        content["rows"] = [Row(**row) for row in content["rows"]]
        content["curves"] = [Curve(**curve) for curve in content["curves"]]
        return cls(**content)


def _rounded(value: object) -> object:
    """Return ``value`` with its numbers rounded to five digits, more than any measurement supports."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
