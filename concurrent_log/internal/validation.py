"""Checks of constructor arguments: each error names the argument, its value and the remedy."""

_TOO_LARGE = 2**63


def check_whole(name: str, value: float) -> int:
    """Return ``value`` as an integer; raise unless it is a whole number. A float such as ``1e6`` is accepted."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    return value


def check_count(name: str, number: float, meaning_of_zero: str) -> int:
    """Return ``number`` as an integer; raise unless it is a whole number of at least 0."""
    value = check_whole(name, number)
    if value < 0:
        raise ValueError(f"{name}={value} must not be negative; 0 {meaning_of_zero}")
    if value >= _TOO_LARGE:
        raise ValueError(f"{name}={value} is more than any file system can hold; 0 {meaning_of_zero}")
    return value


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``; 0 and 1 are accepted as False and True."""
    if value not in choices:
        *others, last = map(repr, choices)
        raise TypeError(f"{name} must be {', '.join(others)} or {last}, not {value!r}")


def check_seconds(name: str, value: float) -> None:
    """Raise unless ``value`` is a number of seconds of at least 0."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{name}={value} must not be negative")
