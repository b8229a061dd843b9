"""The address of a service as a URL, in parts; what is wrong with one is said without a word of it."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit


@dataclass(frozen=True)
class Address:
    """The parts of a URL, decoded; None or empty where it does not have them. Its repr says the scheme."""

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
        """The path without its first slash, such as the name of a database."""
        return unquote(self.path.removeprefix("/"))


def address_of(url: str, form: str, *schemes: str, takes_query: bool = False) -> Address:
    """Return the parts of ``url``.

    Args:
        url: It is never shown, since it may have a password.
        form: How such a URL looks, for the messages.
        schemes: Those that it may have.
        takes_query: Whether it may have a query.

    Raises:
        TypeError: It is not a text.
        ValueError: It has none of the schemes, no host, or a part that nothing would heed.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be a text of the form {form}, not {type(url).__name__}")
    parts, wrong = _split(url)
    if parts is None:
        pass
    elif parts.scheme not in schemes:
        wrong = f"its scheme is not {' or '.join(schemes)}"
    elif not parts.hostname:
        wrong = "it has no host"
    elif parts.fragment or (parts.query and not takes_query):
        wrong = "it has a part after ? or #, which means nothing here"
    if parts is None or wrong:
        raise ValueError(f"url must be of the form {form}, with %-codes for special characters of a password: {wrong}")
    return Address(
        parts.scheme, parts.hostname or "", parts.port, _decoded(parts.username), _decoded(parts.password),
        parts.path, parts.query,
    )  # fmt: skip


def _split(url: str) -> tuple[SplitResult | None, str]:
    """Return the parts, or what is wrong; the message of urllib may have a part of the password in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None, "its host or port cannot be understood"
    return parts, ""


def _decoded(part: str | None) -> str | None:
    return None if part is None else unquote(part)
