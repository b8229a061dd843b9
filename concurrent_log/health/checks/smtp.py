"""Whether a mail server takes commands, and our user."""

import smtplib
import socket
import ssl
from os import PathLike

from concurrent_log.health.checks.address import Address, address_of
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_of, seconds
from concurrent_log.health.checks.tls import trusted
from concurrent_log.health.status import CheckFailed


def smtp(
    url: str,
    *,
    starttls: bool | None = None,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> Check:
    """Return a check that connects to a mail server, logs in where the URL has a user, and sends nothing.

    Args:
        url: ``smtp://USER:PASSWORD@HOST:PORT``, or ``smtps://`` for TLS from the first byte on.
        starttls: Whether the server must change to TLS; None is only where a password is to be sent.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for each of connecting, sending and receiving.
    """
    address = address_of(url, "smtp://USER:PASSWORD@HOST:PORT", "smtp", "smtps")
    seconds(timeout)
    is_secure = address.scheme == "smtps"
    if is_secure and starttls:
        raise ValueError("starttls=True needs smtp:// in the url: smtps:// speaks TLS from the first byte on")
    changes = address.user is not None and not is_secure if starttls is None else starttls
    context = trusted(ca_file) if is_secure or changes else None

    def probe() -> None:
        with _connected(address, context if is_secure else None, timeout) as server:
            if changes:
                server.starttls(context=context)
            if address.user is not None:
                server.login(address.user, address.password or "")
            code, _ = server.noop()
            if code != 250:
                raise CheckFailed(f"the server answers NOOP with {code}")

    return check_of("smtp", probe)


def _connected(address: Address, context: ssl.SSLContext | None, timeout: float) -> smtplib.SMTP:
    ours = socket.gethostname()  # By default, smtplib asks the DNS, and nothing limits for how long.
    if context is None:
        return smtplib.SMTP(address.host, address.port or smtplib.SMTP_PORT, ours, timeout)
    return smtplib.SMTP_SSL(address.host, address.port or smtplib.SMTP_SSL_PORT, ours, timeout=timeout, context=context)
