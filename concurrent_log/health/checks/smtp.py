"""Check of a mail server and of the login."""

import smtplib
import socket
import ssl
from os import PathLike

from concurrent_log.health.checks.address import Address, parse_address
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_timeout, make_check
from concurrent_log.health.checks.tls import tls_context
from concurrent_log.health.status import CheckFailed


def smtp(
    url: str,
    *,
    starttls: bool | None = None,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> Check:
    """Return a check that connects to a mail server, logs in if the URL has a user, and sends no mail.

    Args:
        url: ``smtp://USER:PASSWORD@HOST:PORT``, or ``smtps://`` for implicit TLS.
        starttls: Whether to require STARTTLS; None requires it only if the URL has a user.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for each of connecting, sending and receiving.
    """
    address = parse_address(url, "smtp://USER:PASSWORD@HOST:PORT", "smtp", "smtps")
    check_timeout(timeout)
    is_secure = address.scheme == "smtps"
    if is_secure and starttls:
        raise ValueError("starttls=True needs smtp:// in the url: smtps:// uses TLS from the start")
    uses_starttls = address.user is not None and not is_secure if starttls is None else starttls
    context = tls_context(ca_file) if is_secure or uses_starttls else None

    def probe() -> None:
        with _connected(address, context if is_secure else None, timeout) as server:
            if uses_starttls:
                server.starttls(context=context)
            if address.user is not None:
                server.login(address.user, address.password or "")
            code, _ = server.noop()
            if code != 250:
                raise CheckFailed(f"the server returned code {code} for NOOP")

    return make_check("smtp", probe)


def _connected(address: Address, context: ssl.SSLContext | None, timeout: float) -> smtplib.SMTP:
    local_name = socket.gethostname()  # By default, smtplib queries the DNS for it, without a time limit.
    if context is None:
        return smtplib.SMTP(address.host, address.port or smtplib.SMTP_PORT, local_name, timeout)
    port = address.port or smtplib.SMTP_SSL_PORT
    return smtplib.SMTP_SSL(address.host, port, local_name, timeout=timeout, context=context)
