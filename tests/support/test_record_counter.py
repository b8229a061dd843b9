"""The record counter, on which the tests of whole programs rely, finds each kind of damage."""

from pathlib import Path

import pytest

from support.record_counter import assert_exactly_once, assert_in_order, read_back, records_of

_A0, _A1, _A2 = "0.25 1 app record a-0 xx 2\n", "0.75 1 app record a-1  0\n", "1.25 1 app record a-2  0\n"
_FIRST_SECOND, _SECOND_SECOND = "app.log.1970-01-01_00-00-00", "app.log.1970-01-01_00-00-01"


def _write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / {"backup": _FIRST_SECOND, "other": _SECOND_SECOND, "current": "app.log"}[name]).write_text(text)
    return folder / "app.log"


def test_whole_records_in_their_periods_pass(tmp_path: Path) -> None:
    """P1, P2: correct files are accepted."""
    records = read_back(_write(tmp_path, backup=_A0 + _A1, current=_A2))

    assert_exactly_once(records, {"a-0", "a-1", "a-2"})
    assert_in_order(records)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_A0[:-1], id="half"),
        pytest.param(_A0[:-1] + _A1, id="glued"),
        pytest.param("0.25 1 app record a-0 x 2\n", id="short"),
        pytest.param(_A0 + "\n" + _A1, id="empty"),
    ],
)
def test_torn_record_is_found(tmp_path: Path, text: str) -> None:
    """P1: a record that is not whole, or not alone on its line, fails."""
    log_file = _write(tmp_path, current=text)

    with pytest.raises(AssertionError, match=r"torn record|half a record"):
        records_of(log_file)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param({"backup": _A0 + _A2, "current": _A2}, id="late record in the backup"),
        pytest.param({"other": _A1, "current": _A2}, id="wrong name"),
        pytest.param({"backup": _A0, "current": _A1 + _A2}, id="two seconds in the log file"),
        pytest.param({"other": _A2, "current": _A0}, id="older than a backup"),
        pytest.param({"backup": _A0, "current": _A1}, id="a second with two files"),
    ],
)
def test_record_in_another_period_is_found(tmp_path: Path, texts: dict[str, str]) -> None:
    """P2, P3: a record outside the file of its second fails, and so does a second with two files."""
    log_file = _write(tmp_path, **texts)

    with pytest.raises(AssertionError, match=r"holds records of|holds several seconds|hold one second"):
        read_back(log_file)


@pytest.mark.parametrize(
    ("text", "message"),
    [(_A0, "lost \\['a-1'\\]"), (_A0 + _A1 + _A1, "twice \\['a-1'\\]"), (_A0 + _A1 + _A2, "never logged \\['a-2'\\]")],
)
def test_lost_and_duplicated_records_are_found(tmp_path: Path, text: str, message: str) -> None:
    """P1: a record that is missing, duplicated or never logged fails."""
    records = records_of(_write(tmp_path, current=text))

    with pytest.raises(AssertionError, match=message):
        assert_exactly_once(records, {"a-0", "a-1"})


def test_swapped_records_are_found(tmp_path: Path) -> None:
    """P1: two records of one source in the wrong order fail."""
    records = records_of(_write(tmp_path, current=_A1 + _A0))

    with pytest.raises(AssertionError, match="a-0 is after a-1"):
        assert_in_order(records)
