"""Whose certificates are trusted."""

import os
import ssl
from os import PathLike


def needs_tls(ca_file: "str | PathLike[str] | None", is_secure: bool, scheme: str) -> None:
    """Raise ValueError for a ``ca_file`` where the URL asks for no TLS, as ``scheme`` would."""
    if ca_file is not None and not is_secure:
        raise ValueError(f"ca_file needs TLS: write {scheme}:// in the url")


def trusted(ca_file: "str | PathLike[str] | None") -> ssl.SSLContext:
    """Return what trusts the authorities of ``ca_file``, or those of the system where it is None.

    Raises:
        ValueError: It cannot be read, or has no certificate in it.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
    except OSError as error:  # An SSLError is one.
        why = "has no certificate in it" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
        raise ValueError(f"ca_file={ca_file!r} {why}") from None
