"""Check of a NATS server and, optionally, of a JetStream stream."""

import uuid
from os import PathLike
from typing import TYPE_CHECKING, Any

from concurrent_log.health.checks.address import Address, parse_address
from concurrent_log.health.checks.client_library import client_library
from concurrent_log.health.checks.muted_libraries import mute_in_checks
from concurrent_log.health.checks.probes import (
    TIMEOUT,
    AsyncCheck,
    check_timeout,
    close_connection,
    make_async_check,
)
from concurrent_log.health.checks.tls import require_tls, tls_context
from concurrent_log.health.status import CheckFailed

if TYPE_CHECKING:
    from nats.aio.client import Client

# https://docs.nats.io/reference/reference-protocols/nats-protocol; the library has no class for this error.
_AUTHORIZATION_ERROR = "Authorization Violation"


def nats(
    url: str,
    stream: str | None = None,
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> AsyncCheck:
    """Return a check that sends a message to its own inbox and waits for it. It needs nats-py.

    Args:
        url: ``nats://USER:PASSWORD@HOST:PORT``, ``nats://TOKEN@HOST:PORT``, or ``nats+tls://`` for TLS.
        stream: A JetStream stream that must exist.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for the whole check.
    """
    address = parse_address(url, "nats://USER:PASSWORD@HOST:PORT", "nats", "nats+tls")
    is_secure = address.scheme == "nats+tls"
    require_tls(ca_file, is_secure, "nats+tls")
    options = _options(address, check_timeout(timeout))
    if is_secure:
        options |= {"tls": tls_context(ca_file), "tls_hostname": address.host}
    with client_library("nats-py", "a NATS server"):
        import nats.aio.client  # noqa: F401 - raises here if it is missing
    # asyncio logs a warning about what the library does after a failed TLS handshake.
    mute_in_checks("nats.aio.client", "asyncio")

    async def probe() -> None:
        client = _client(is_secure)
        try:
            await _connect(client, options)
            await _send_and_receive(client, timeout)
            if stream is not None:
                await client.jetstream(timeout=timeout).stream_info(stream)
        finally:
            await close_connection(client.close())

    return make_async_check("nats", probe, timeout)


def _options(address: Address, timeout: float) -> dict[str, Any]:
    has_token = address.user is not None and address.password is None
    return {
        "servers": [f"nats://{address.netloc}"],
        "user": None if has_token else address.user,
        "password": address.password,
        "token": address.user if has_token else None,
        "connect_timeout": timeout,
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,  # 0 means no limit.
        "reconnect_time_wait": 0,
    }


def _client(is_secure: bool) -> "Client":
    from nats.aio.client import Client
    from nats.errors import SecureConnWantedError

    class SecureClient(Client):
        """A client that sends its password over TLS only. The library's sends it to a server that offers no TLS."""

        def _connect_command(self) -> Any:
            if not self._server_info.get("tls_required"):
                raise SecureConnWantedError
            return super()._connect_command()

    return SecureClient() if is_secure else Client()


async def _connect(client: "Client", options: dict[str, Any]) -> None:
    from nats.errors import Error, NoServersError

    errors: list[Exception] = []

    async def collect_error(error: Exception) -> None:
        errors.append(error)

    try:
        await client.connect(**options, error_cb=collect_error)
    except NoServersError as error:  # It has no cause.
        raise error from (errors[-1] if errors else None)
    except Error as error:
        if _AUTHORIZATION_ERROR in str(error):
            raise CheckFailed("the user name or password was rejected") from None
        raise


async def _send_and_receive(client: "Client", timeout: float) -> None:
    inbox, text = client.new_inbox(), uuid.uuid4().hex.encode()
    subscription = await client.subscribe(inbox)
    await client.publish(inbox, text)
    while (await subscription.next_msg(timeout)).data != text:
        pass
