"""The URL of a service, split into parts. Error messages contain nothing of the URL."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit


@dataclass(frozen=True)
class Address:
    """The decoded parts of a URL; missing parts are None or empty. The repr shows only the scheme."""

    scheme: str
    host: str = field(repr=False)
    port: int | None = field(repr=False)
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    path: str = field(repr=False)
    query: str = field(repr=False)

    @property
    def netloc(self) -> str:
        """The host, and the port if there is one, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """The decoded path without its first slash, such as the name of a database."""
        return unquote(self.path.removeprefix("/"))


def parse_address(url: str, form: str, *schemes: str, allows_query: bool = False) -> Address:
    """Return the parts of ``url``.

    Args:
        url: The URL. Messages do not show it, because it may contain a password.
        form: The form of such a URL, for messages.
        schemes: The allowed schemes.
        allows_query: Whether the URL may have a query.

    Raises:
        TypeError: ``url`` is not a string.
        ValueError: The scheme is not allowed, the host is missing, or a part has no meaning.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be a string of the form {form}, not {type(url).__name__}")
    parts, problem = _split(url)
    if parts is None:
        pass
    elif parts.scheme not in schemes:
        problem = f"its scheme is not {' or '.join(schemes)}"
    elif not parts.hostname:
        problem = "it has no host"
    elif parts.fragment or (parts.query and not allows_query):
        problem = "it has a query or fragment, which has no meaning here"
    if parts is None or problem:
        raise ValueError(f"url must be of the form {form}, with %-codes for special characters: {problem}")
    return Address(
        parts.scheme, parts.hostname or "", parts.port, _decoded(parts.username), _decoded(parts.password),
        parts.path, parts.query,
    )  # fmt: skip


def _split(url: str) -> tuple[SplitResult | None, str]:
    """Return the parts, or the problem. The message of urllib may contain a part of the password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None, "its host or port is invalid"
    return parts, ""


def _decoded(part: str | None) -> str | None:
    return None if part is None else unquote(part)
