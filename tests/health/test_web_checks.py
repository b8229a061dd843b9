"""Checks of HTTP and mail servers, against small servers with any kind of certificate."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

for _module in ("aiosmtpd", "boto3", "fastapi", "opensearchpy", "pymysql", "trustme", "urllib3"):
    pytest.importorskip(_module)

import trustme

from concurrent_log.health.checks import collector, http, opensearch, s3, smtp
from support.check_assertions import failure, run_check, warning
from support.collector_server import Server
from support.deadlines import DEADLINE
from support.private_services import PASSWORD, USER, ca_file, refusing_port, silent_port
from support.web_servers import WebServer, mail_server, server_context

_HANG_TIMEOUT = 0.4  # seconds until a check without a response fails, whatever the speed of the machine
_UNTRUSTED = "the certificate is not signed by a trusted authority"
_REJECTED = "the user name or password was rejected"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Return the certificate of the authority of the servers."""
    return ca_file(tmp_path)


@pytest.fixture
def web() -> Iterator[WebServer]:
    """Return a server without TLS."""
    with WebServer() as web:
        yield web


def test_working_url_passes(web: WebServer) -> None:
    """The check compares the status and, if given, searches the text in the body."""
    web.respond("/created", 201, b"order 17")

    run_check(http(web.url, timeout=DEADLINE))
    run_check(http(f"{web.url}/", status=200, body="is ok", method="get", timeout=DEADLINE))
    run_check(http(f"{web.url}/created", status=[201, 202], body=re.compile(r"order \d+$"), timeout=DEADLINE))


def test_unexpected_response_fails(web: WebServer) -> None:
    """An unexpected status or body fails the check, whose message contains nothing of the URL or the body."""
    web.respond("/shop", 503, b"database at db.internal is unavailable")
    secrets = (web.port, "shop", "db.internal")

    message = failure(http(f"{web.url}/shop", timeout=DEADLINE), *secrets)
    assert message == "the response has status 503 (Service Unavailable)"
    message = failure(http(web.url, status=204, timeout=DEADLINE), *secrets)
    assert message == "the response has status 200 (OK)"
    message = failure(http(f"{web.url}/shop", status=503, body="all is ok", timeout=DEADLINE), *secrets, "all is ok")
    assert message == "the response does not contain the expected text"


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_slow_response_times_out(web: WebServer, path: str) -> None:
    """The timeout is for the whole response: a server cannot prolong it by sending single bytes."""
    assert failure(http(f"{web.url}{path}", timeout=_HANG_TIMEOUT), web.port) == "timed out"
    with silent_port() as port:
        assert failure(http(f"https://127.0.0.1:{port}", timeout=_HANG_TIMEOUT), port) == "timed out"


def test_closed_port_and_unknown_host_fail() -> None:
    """A refused connection and a failed name resolution are reported as such."""
    with refusing_port() as port:
        assert failure(http(f"http://localhost:{port}", timeout=DEADLINE), port) == "connection refused"
    assert failure(http("http://shop.invalid", timeout=DEADLINE), "shop.invalid") == "the host name cannot be resolved"


def test_user_and_headers_are_sent(web: WebServer) -> None:
    """The user of a URL is sent as basic authentication, together with the headers."""
    url = web.url.replace("://", f"://{USER}:pass%40word@")
    run_check(http(f"{url}/?q=1", headers={"X-Key": "17"}, status=404, timeout=DEADLINE))

    path, headers = web.requests[0]
    assert path == "/?q=1"
    assert headers["authorization"] == f"Basic {base64.b64encode(f'{USER}:pass@word'.encode()).decode()}"
    assert headers["x-key"] == "17"


def test_redirect_is_followed_without_secrets(web: WebServer) -> None:
    """After a redirect to another server, that server receives neither the password nor the headers."""
    with WebServer() as other:
        web.respond("/", 302, Location="/there")
        web.respond("/there", 307, Location=f"{other.url}/")
        url = web.url.replace("://", f"://{USER}:{PASSWORD}@")
        run_check(http(url, headers={"X-Key": "17"}, body="all is ok", timeout=DEADLINE))

    assert [path for path, _ in web.requests] == ["/", "/there"]
    assert all(headers["x-key"] == "17" and "authorization" in headers for _, headers in web.requests)
    assert not {"x-key", "authorization"} & set(other.requests[0][1])


def test_redirect_that_is_expected_is_not_followed(web: WebServer) -> None:
    """A redirect whose status is expected is not followed; nor is a redirect of a POST."""
    web.respond("/", 302, Location="/there")
    run_check(http(web.url, status=302, timeout=DEADLINE))
    run_check(http(web.url, method="POST", timeout=DEADLINE))

    assert [path for path, _ in web.requests] == ["/", "/"]


@pytest.mark.parametrize("location", ["/", "ftp://127.0.0.1/", "http://127.0.0.1:port/", "//"])
def test_invalid_redirect_fails(web: WebServer, location: str) -> None:
    """A redirect loop ends, and a redirect to an invalid HTTP URL is not followed."""
    web.respond("/", 302, Location=location)

    assert "redirect" in failure(http(web.url, timeout=DEADLINE), web.port)


def test_redirect_from_tls_to_an_unencrypted_connection_fails(web: WebServer, tmp_path: Path, ca: Path) -> None:
    """A request over TLS is not repeated without TLS."""
    with WebServer(server_context()) as secure:
        secure.respond("/", 302, Location=web.url)
        check = http(secure.url, ca_file=ca, timeout=DEADLINE)

        assert failure(check, web.port, secure.port) == "the redirect leads from TLS to an unencrypted connection"
    assert web.requests == []


@pytest.mark.parametrize(
    ("names", "days", "reason"),
    [
        (("localhost", "127.0.0.1"), -1, "the certificate has expired"),
        (("localhost", "127.0.0.1"), 2000, "the certificate is not valid yet"),
        (("shop.example",), 365, "the certificate is for another"),
    ],
)
def test_invalid_certificate_fails(tmp_path: Path, ca: Path, names: tuple[str, ...], days: float, reason: str) -> None:
    """The certificate must be valid now, and for the host name of the URL."""
    with WebServer(server_context(*names, ends_in_days=days)) as web:
        for url in (web.url, web.url.replace("127.0.0.1", "localhost")):
            assert failure(http(url, ca_file=ca, timeout=DEADLINE), web.port, "shop.example").startswith(reason)


def test_untrusted_certificate_fails(tmp_path: Path, ca: Path) -> None:
    """Only the authorities in the file, or those of the system, are trusted."""
    with WebServer(server_context(ca=trustme.CA())) as web:
        assert failure(http(web.url, ca_file=ca, timeout=DEADLINE), web.port) == _UNTRUSTED
        assert failure(http(web.url, timeout=DEADLINE), web.port) == _UNTRUSTED


def test_certificate_that_expires_soon_is_degraded(tmp_path: Path, ca: Path) -> None:
    """A certificate that expires within the given days is a warning, which can be disabled."""
    with WebServer(server_context(ends_in_days=10.04)) as web:
        message = warning(http(web.url, ca_file=ca, timeout=DEADLINE), web.port)
        assert message == "the certificate expires in 10.0 days"
        run_check(http(web.url, ca_file=ca, certificate_days=7, timeout=DEADLINE))
        run_check(http(web.url, ca_file=ca, certificate_days=None, timeout=DEADLINE))


def test_tls_with_a_server_without_tls_fails(web: WebServer) -> None:
    """A server without TLS fails the handshake."""
    assert failure(http(web.url.replace("http:", "https:"), timeout=DEADLINE), web.port).startswith("TLS failed: ")


@pytest.mark.slow
def test_real_collector_passes_and_rejects_a_wrong_token(tmp_path: Path) -> None:
    """A real collector passes the check, and a wrong token fails it."""
    token = f"{PASSWORD}-of-the-tests"
    with Server(tmp_path, str(tmp_path / "logs.sqlite3"), variables={"CONCURRENT_LOG_TOKEN": token}) as server:
        run_check(collector(f"{server.url}/", timeout=DEADLINE))
        run_check(collector(server.url, token, timeout=DEADLINE))

        assert (
            failure(collector(server.url, "wrong", timeout=DEADLINE), server.port, "wrong") == "the token was rejected"
        )
    assert failure(collector(server.url, timeout=DEADLINE), server.port) == "connection refused"


def test_collector_check_reports_the_reason(web: WebServer) -> None:
    """A collector: a wrong token, an unavailable database, and a server that is not a collector."""
    web.respond("/health", 200, {"status": "ok"})
    web.respond("/logs?limit=1", 200, {"records": []})
    run_check(collector(f"{web.url}/", timeout=DEADLINE))
    run_check(collector(web.url, PASSWORD, timeout=DEADLINE))
    assert web.requests[-1][1]["authorization"] == f"Bearer {PASSWORD}"

    web.respond("/logs?limit=1", 401, {"detail": "a token is needed"})
    assert failure(collector(web.url, "wrong", timeout=DEADLINE), web.port, "wrong") == "the token was rejected"
    web.respond("/health", 503, {"detail": "the database is unavailable"})
    assert failure(collector(web.url, timeout=DEADLINE), web.port) == "the database of the collector is unavailable"
    web.respond("/health", 200, b"<html>")
    assert failure(collector(web.url, timeout=DEADLINE), web.port) == "the server is not a collector"


def test_bucket_check_reports_the_reason(web: WebServer) -> None:
    """S3: a bucket that exists, one that does not, and a rejected access key. A small server sends the responses."""
    check = s3("orders", web.url, access_key=USER, secret_key=PASSWORD, region="us-east-1", timeout=DEADLINE)
    web.respond("/orders", 200)
    run_check(check)
    assert USER in web.requests[0][1]["authorization"]

    web.respond("/orders", 404)
    assert failure(check, web.port, USER, PASSWORD, "orders") == "the response has status 404 (Not Found)"
    web.respond("/orders", 403)
    assert failure(check, web.port, USER, PASSWORD, "orders") == "the response has status 403 (Forbidden)"


def test_opensearch_check_reports_the_status_of_the_cluster(web: WebServer) -> None:
    """Green passes, yellow is a warning, and red a failure. A small server sends the responses of a cluster."""
    url = web.url.replace("://", f"://{USER}:{PASSWORD}@")
    check, secrets = opensearch(f"{url}/search", timeout=DEADLINE), (web.port, USER, PASSWORD, "/search")
    web.respond("/search/_cluster/health", 200, {"cluster_name": "shop", "status": "green"})
    run_check(check)
    assert "authorization" in web.requests[0][1]

    web.respond("/search/_cluster/health", 200, {"cluster_name": "shop", "status": "yellow"})
    assert warning(check, *secrets) == "the cluster is yellow: some replica shards are missing"
    web.respond("/search/_cluster/health", 200, {"cluster_name": "shop", "status": "red"})
    assert failure(check, *secrets) == "the cluster is red: some primary shards are missing"
    web.respond("/search/_cluster/health", 200, {"title": "a shop"})
    assert failure(check, *secrets) == "the server is not an OpenSearch cluster"
    web.respond("/search/_cluster/health", 401, {"error": {"type": USER}})
    assert failure(check, *secrets) == _REJECTED
    web.respond("/search/_cluster/health", 502, b"")
    assert failure(check, *secrets) == "the response has status 502 (Bad Gateway)"


def test_unreachable_opensearch_fails(tmp_path: Path, ca: Path) -> None:
    """A cluster that refuses connections, does not respond, or has an untrusted certificate fails the check."""
    with refusing_port() as port:
        assert failure(opensearch(f"http://127.0.0.1:{port}", timeout=DEADLINE), port) == "connection refused"
    with silent_port() as port:
        assert failure(opensearch(f"http://127.0.0.1:{port}", timeout=_HANG_TIMEOUT), port) == "timed out"
    with WebServer(server_context()) as web:
        assert failure(opensearch(web.url, timeout=DEADLINE), web.port) == _UNTRUSTED
        web.respond("/_cluster/health", 200, {"status": "green"})
        run_check(opensearch(web.url, ca_file=ca, timeout=DEADLINE))


def test_mail_server_accepts_the_user(tmp_path: Path, ca: Path) -> None:
    """The check logs in over implicit TLS, with STARTTLS, or without TLS."""
    with mail_server(tls=server_context()) as port:
        run_check(smtp(f"smtps://{USER}:{PASSWORD}@127.0.0.1:{port}", ca_file=ca, timeout=DEADLINE))
    with mail_server(starttls=server_context()) as port:
        run_check(smtp(f"smtp://{USER}:{PASSWORD}@127.0.0.1:{port}", ca_file=ca, timeout=DEADLINE))
        run_check(smtp(f"smtp://127.0.0.1:{port}", starttls=True, ca_file=ca, timeout=DEADLINE))
    with mail_server() as port:
        run_check(smtp(f"smtp://127.0.0.1:{port}", timeout=DEADLINE))
        run_check(smtp(f"smtp://{USER}:{PASSWORD}@127.0.0.1:{port}", starttls=False, timeout=DEADLINE))


def test_mail_check_reports_the_reason(tmp_path: Path, ca: Path) -> None:
    """Mail: a wrong password, an untrusted certificate, no STARTTLS, a silent server and a closed port."""
    with mail_server(starttls=server_context()) as port:
        secrets = (port, USER, PASSWORD, "wrong-password")
        wrong = f"smtp://{USER}:wrong-password@127.0.0.1:{port}"
        assert failure(smtp(wrong, ca_file=ca, timeout=DEADLINE), *secrets) == _REJECTED
        assert failure(smtp(wrong, timeout=DEADLINE), *secrets) == _UNTRUSTED
    with mail_server() as port:
        check = smtp(f"smtp://{USER}:{PASSWORD}@127.0.0.1:{port}", timeout=DEADLINE)
        assert failure(check, port, *secrets) == "the server does not support a required feature"
    assert failure(smtp(f"smtp://127.0.0.1:{port}", timeout=DEADLINE), port) == "connection refused"
    with silent_port() as port:
        assert failure(smtp(f"smtp://127.0.0.1:{port}", timeout=_HANG_TIMEOUT), port) == "timed out"
        assert failure(smtp(f"smtps://127.0.0.1:{port}", timeout=_HANG_TIMEOUT), port) == "timed out"
