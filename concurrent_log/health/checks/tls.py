"""TLS contexts with the trusted certificate authorities."""

import os
import ssl
from os import PathLike


def require_tls(ca_file: "str | PathLike[str] | None", is_secure: bool, scheme: str) -> None:
    """Raise ValueError for a ``ca_file`` if the URL does not use TLS; ``scheme`` is the one that does."""
    if ca_file is not None and not is_secure:
        raise ValueError(f"ca_file needs TLS: write {scheme}:// in the url")


def tls_context(ca_file: "str | PathLike[str] | None") -> ssl.SSLContext:
    """Return a context that trusts the authorities in ``ca_file``, or those of the system if it is None.

    Raises:
        ValueError: The file cannot be read, or contains no certificate.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
    except OSError as error:  # An SSLError is one.
        is_readable = isinstance(error, ssl.SSLError)
        reason = "contains no certificate" if is_readable else f"cannot be read: {error.strerror}"
        raise ValueError(f"ca_file={ca_file!r} {reason}") from None
