"""Whether NATS brings back a message, and whether a stream of JetStream is there."""

import uuid
from os import PathLike
from typing import TYPE_CHECKING, Any

from concurrent_log.health.checks.address import Address, address_of
from concurrent_log.health.checks.client_library import needed
from concurrent_log.health.checks.library_logging import keep_quiet
from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, async_check_of, leave, seconds
from concurrent_log.health.checks.tls import needs_tls, trusted
from concurrent_log.health.status import CheckFailed

if TYPE_CHECKING:
    from nats.aio.client import Client

# https://docs.nats.io/reference/reference-protocols/nats-protocol; the library has no other word of it.
_REFUSAL = "Authorization Violation"


def nats(
    url: str,
    stream: str | None = None,
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> AsyncCheck:
    """Return a check that sends a message to an inbox of its own and waits for it there; it needs nats-py.

    Args:
        url: ``nats://USER:PASSWORD@HOST:PORT``, ``nats://TOKEN@HOST:PORT``, or ``nats+tls://`` for TLS.
        stream: A stream of JetStream that must be there.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for all of it.
    """
    address = address_of(url, "nats://USER:PASSWORD@HOST:PORT", "nats", "nats+tls")
    is_secure = address.scheme == "nats+tls"
    needs_tls(ca_file, is_secure, "nats+tls")
    options = _options(address, seconds(timeout))
    if is_secure:
        options |= {"tls": trusted(ca_file), "tls_hostname": address.host}
    with needed("nats-py", "a NATS server"):
        import nats.aio.client  # noqa: F401 - for all that comes
    # asyncio warns of what the library does with TLS that fails.
    keep_quiet("nats.aio.client", "asyncio")

    async def probe() -> None:
        client = _client(is_secure)
        try:
            await _connect(client, options)
            await _send_and_receive(client, timeout)
            if stream is not None:
                await client.jetstream(timeout=timeout).stream_info(stream)
        finally:
            await leave(client.close())

    return async_check_of("nats", probe, timeout)


def _options(address: Address, timeout: float) -> dict[str, Any]:
    has_token = address.user is not None and address.password is None
    return {
        "servers": [f"nats://{address.netloc}"],
        "user": None if has_token else address.user,
        "password": address.password,
        "token": address.user if has_token else None,
        "connect_timeout": timeout,
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,  # 0 is without end.
        "reconnect_time_wait": 0,
    }


def _client(is_secure: bool) -> "Client":
    from nats.aio.client import Client
    from nats.errors import SecureConnWantedError

    class SecureClient(Client):
        """One that does not say its password without TLS: the library does, where the server does not ask for TLS."""

        def _connect_command(self) -> Any:
            if not self._server_info.get("tls_required"):
                raise SecureConnWantedError
            return super()._connect_command()

    return SecureClient() if is_secure else Client()


async def _connect(client: "Client", options: dict[str, Any]) -> None:
    from nats.errors import Error, NoServersError

    heard: list[Exception] = []

    async def hear(error: Exception) -> None:
        heard.append(error)

    try:
        await client.connect(**options, error_cb=hear)
    except NoServersError as error:  # It does not say why.
        raise error from (heard[-1] if heard else None)
    except Error as error:
        if _REFUSAL in str(error):
            raise CheckFailed("the user or password is refused") from None
        raise


async def _send_and_receive(client: "Client", timeout: float) -> None:
    inbox, token = client.new_inbox(), uuid.uuid4().hex.encode()
    subscription = await client.subscribe(inbox)
    await client.publish(inbox, token)
    while (await subscription.next_msg(timeout)).data != token:
        pass
