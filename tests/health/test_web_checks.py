"""The checks of what answers over HTTP, and of mail servers, against small servers with certificates of any kind."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

for _module in ("aiosmtpd", "fastapi", "opensearchpy", "pymysql", "trustme", "urllib3"):
    pytest.importorskip(_module)

import trustme

from concurrent_log.health.checks import collector, http, opensearch, smtp
from support.check_assertions import ask, failure, warning
from support.collector_server import Server
from support.private_services import PASSWORD, USER, ca_file, refusing_port, silent_port
from support.web_servers import Web, context_of, mail

_SOON = 0.4  # seconds until a check of what does not answer gives up
_UNTRUSTED = "the certificate is of an authority that is not trusted"
_REFUSED = "the user or password is refused"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Return the file of the authority of the servers."""
    return ca_file(tmp_path)


@pytest.fixture
def web() -> Iterator[Web]:
    """Return a server without TLS."""
    with Web() as web:
        yield web


def test_url_that_answers_is_well(web: Web) -> None:
    """A check of a URL looks at the status and, where it should, at the text of the body."""
    web.answer("/created", 201, b"order 17")

    ask(http(web.url, timeout=60))
    ask(http(f"{web.url}/", status=200, body="is ok", method="get", timeout=60))
    ask(http(f"{web.url}/created", status=[201, 202], body=re.compile(r"order \d+$"), timeout=60))


def test_url_says_what_is_wrong(web: Web) -> None:
    """A status or a body that is not the one expected fails, and nothing of the URL or the body is told."""
    web.answer("/shop", 503, b"database at db.internal is away")
    secrets = (web.port, "shop", "db.internal")

    said = failure(http(f"{web.url}/shop", timeout=60), *secrets)
    assert said == "the answer has the status 503 (Service Unavailable)"
    said = failure(http(web.url, status=204, timeout=60), *secrets)
    assert said == "the answer has the status 200 (OK)"
    said = failure(http(f"{web.url}/shop", status=503, body="all is ok", timeout=60), *secrets, "all is ok")
    assert said == "the answer does not have the text in it that it should have"


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_url_that_answers_too_slowly_times_out(web: Web, path: str) -> None:
    """The time is for the whole answer: one byte after the other is no way to keep a check."""
    assert failure(http(f"{web.url}{path}", timeout=_SOON), web.port) == "timed out"
    with silent_port() as port:
        assert failure(http(f"https://127.0.0.1:{port}", timeout=_SOON), port) == "timed out"


def test_url_where_nothing_listens_is_refused() -> None:
    """A port without a server says so, and so does a name that nobody knows."""
    with refusing_port() as port:
        assert failure(http(f"http://localhost:{port}", timeout=60), port) == "connection refused"
    assert failure(http("http://shop.invalid", timeout=60), "shop.invalid") == "the name of the host is not known"


def test_user_and_headers_are_sent(web: Web) -> None:
    """The user of a URL is sent as basic authentication, beside the headers."""
    url = web.url.replace("://", f"://{USER}:pass%40word@")
    ask(http(f"{url}/?q=1", headers={"X-Key": "17"}, status=404, timeout=60))

    path, headers = web.requests[0]
    assert path == "/?q=1"
    assert headers["authorization"] == f"Basic {base64.b64encode(f'{USER}:pass@word'.encode()).decode()}"
    assert headers["x-key"] == "17"


def test_redirect_is_followed_without_secrets(web: Web) -> None:
    """Another server, to which a redirect leads, gets neither the password nor the headers."""
    with Web() as other:
        web.answer("/", 302, Location="/there")
        web.answer("/there", 307, Location=f"{other.url}/")
        url = web.url.replace("://", f"://{USER}:{PASSWORD}@")
        ask(http(url, headers={"X-Key": "17"}, body="all is ok", timeout=60))

    assert [path for path, _ in web.requests] == ["/", "/there"]
    assert all(headers["x-key"] == "17" and "authorization" in headers for _, headers in web.requests)
    assert not {"x-key", "authorization"} & set(other.requests[0][1])


def test_redirect_that_is_expected_is_not_followed(web: Web) -> None:
    """Where the status of a redirect is what should come, that is the answer; nor is a POST sent on."""
    web.answer("/", 302, Location="/there")
    ask(http(web.url, status=302, timeout=60))
    ask(http(web.url, method="POST", timeout=60))

    assert [path for path, _ in web.requests] == ["/", "/"]


@pytest.mark.parametrize("location", ["/", "ftp://127.0.0.1/", "http://127.0.0.1:port/", "//"])
def test_redirect_to_nowhere_fails(web: Web, location: str) -> None:
    """A circle of redirects ends, and what is not a URL of HTTP is not asked."""
    web.answer("/", 302, Location=location)

    assert "redirect" in failure(http(web.url, timeout=60), web.port)


def test_redirect_from_tls_to_a_plain_connection_fails(web: Web, tmp_path: Path, ca: Path) -> None:
    """What was asked over TLS is not asked without."""
    with Web(context_of(tmp_path)) as secure:
        secure.answer("/", 302, Location=web.url)
        check = http(secure.url, ca_file=ca, timeout=60)

        assert failure(check, web.port, secure.port) == "it redirects from TLS to a plain connection"
    assert web.requests == []


@pytest.mark.parametrize(
    ("names", "days", "said"),
    [
        (("localhost", "127.0.0.1"), -1, "the certificate has expired"),
        (("localhost", "127.0.0.1"), 2000, "the certificate is not valid yet"),
        (("shop.example",), 365, "the certificate is for another"),
    ],
)
def test_certificate_that_is_not_valid_fails(
    tmp_path: Path, ca: Path, names: tuple[str, ...], days: float, said: str
) -> None:
    """The certificate must be valid now, and for the name of the URL."""
    with Web(context_of(tmp_path, *names, ends_in_days=days)) as web:
        for url in (web.url, web.url.replace("127.0.0.1", "localhost")):
            assert failure(http(url, ca_file=ca, timeout=60), web.port, "shop.example").startswith(said)


def test_certificate_of_an_unknown_authority_fails(tmp_path: Path, ca: Path) -> None:
    """Only authorities of the file, or of the system, are trusted."""
    with Web(context_of(tmp_path, ca=trustme.CA())) as web:
        assert failure(http(web.url, ca_file=ca, timeout=60), web.port) == _UNTRUSTED
        assert failure(http(web.url, timeout=60), web.port) == _UNTRUSTED


def test_certificate_that_ends_soon_is_degraded(tmp_path: Path, ca: Path) -> None:
    """A certificate that ends within the days given is a warning, which can be turned off."""
    with Web(context_of(tmp_path, ends_in_days=10.04)) as web:
        said = warning(http(web.url, ca_file=ca, timeout=60), web.port)
        assert said == "the certificate ends in 10.0 days"
        ask(http(web.url, ca_file=ca, certificate_days=7, timeout=60))
        ask(http(web.url, ca_file=ca, certificate_days=None, timeout=60))


def test_plain_server_does_not_speak_tls(web: Web) -> None:
    """TLS with a server that has none fails."""
    assert failure(http(web.url.replace("http:", "https:"), timeout=60), web.port).startswith("TLS failed: ")


def test_collector_is_asked_for_its_database(tmp_path: Path) -> None:
    """A real collector is well, and tells a wrong token."""
    with Server(tmp_path, str(tmp_path / "logs.sqlite3"), variables={"CONCURRENT_LOG_TOKEN": PASSWORD}) as server:
        ask(collector(f"{server.url}/", timeout=60))
        ask(collector(server.url, PASSWORD, timeout=60))

        assert failure(collector(server.url, "wrong", timeout=60), server.port, "wrong") == "the token is refused"
    assert failure(collector(server.url, timeout=60), server.port) == "connection refused"


def test_collector_without_its_database_fails(web: Web) -> None:
    """What a collector says while its database is away is told; any other server is not taken for one."""
    web.answer("/health", 503, {"detail": "the database is away"})
    assert failure(collector(web.url, timeout=60), web.port) == "the database of the collector is away"

    web.answer("/health", 200, b"<html>")
    assert failure(collector(web.url, timeout=60), web.port) == "the answer is not that of a collector"


def test_opensearch_tells_the_colour_of_the_cluster(web: Web) -> None:
    """Green is well, yellow a warning, and red a failure. A small server stands in for the two answers of a cluster."""
    url = web.url.replace("://", f"://{USER}:{PASSWORD}@")
    check, secrets = opensearch(f"{url}/search", timeout=60), (web.port, USER, PASSWORD, "/search")
    web.answer("/search/_cluster/health", 200, {"cluster_name": "shop", "status": "green"})
    ask(check)
    assert "authorization" in web.requests[0][1]

    web.answer("/search/_cluster/health", 200, {"cluster_name": "shop", "status": "yellow"})
    assert warning(check, *secrets) == "the cluster is yellow: copies of some shards are missing"
    web.answer("/search/_cluster/health", 200, {"cluster_name": "shop", "status": "red"})
    assert failure(check, *secrets) == "the cluster is red: some shards are missing"
    web.answer("/search/_cluster/health", 200, {"title": "a shop"})
    assert failure(check, *secrets) == "the answer is not that of a cluster of OpenSearch"
    web.answer("/search/_cluster/health", 401, {"error": {"type": USER}})
    assert failure(check, *secrets) == _REFUSED
    web.answer("/search/_cluster/health", 502, b"")
    assert failure(check, *secrets) == "the answer has the status 502 (Bad Gateway)"


def test_opensearch_that_cannot_be_reached_fails(tmp_path: Path, ca: Path) -> None:
    """A cluster that is gone, does not answer, or has a certificate of somebody else, fails."""
    with refusing_port() as port:
        assert failure(opensearch(f"http://127.0.0.1:{port}", timeout=60), port) == "connection refused"
    with silent_port() as port:
        assert failure(opensearch(f"http://127.0.0.1:{port}", timeout=_SOON), port) == "timed out"
    with Web(context_of(tmp_path)) as web:
        assert failure(opensearch(web.url, timeout=60), web.port) == _UNTRUSTED
        web.answer("/_cluster/health", 200, {"status": "green"})
        ask(opensearch(web.url, ca_file=ca, timeout=60))


def test_mail_server_takes_the_user(tmp_path: Path, ca: Path) -> None:
    """A mail server is asked with TLS from the first byte, with STARTTLS, or without."""
    with mail(tls=context_of(tmp_path)) as port:
        ask(smtp(f"smtps://{USER}:{PASSWORD}@127.0.0.1:{port}", ca_file=ca, timeout=60))
    with mail(starttls=context_of(tmp_path)) as port:
        ask(smtp(f"smtp://{USER}:{PASSWORD}@127.0.0.1:{port}", ca_file=ca, timeout=60))
        ask(smtp(f"smtp://127.0.0.1:{port}", starttls=True, ca_file=ca, timeout=60))
    with mail() as port:
        ask(smtp(f"smtp://127.0.0.1:{port}", timeout=60))
        ask(smtp(f"smtp://{USER}:{PASSWORD}@127.0.0.1:{port}", starttls=False, timeout=60))


def test_mail_server_says_what_is_wrong(tmp_path: Path, ca: Path) -> None:
    """A wrong password, a certificate of somebody else, no STARTTLS, and a server that hangs or is gone are told."""
    with mail(starttls=context_of(tmp_path)) as port:
        secrets = (port, USER, PASSWORD, "wrong-password")
        wrong = f"smtp://{USER}:wrong-password@127.0.0.1:{port}"
        assert failure(smtp(wrong, ca_file=ca, timeout=60), *secrets) == _REFUSED
        assert failure(smtp(wrong, timeout=60), *secrets) == _UNTRUSTED
    with mail() as port:
        check = smtp(f"smtp://{USER}:{PASSWORD}@127.0.0.1:{port}", timeout=60)
        assert failure(check, port, *secrets) == "the server does not support what is asked of it"
    assert failure(smtp(f"smtp://127.0.0.1:{port}", timeout=60), port) == "connection refused"
    with silent_port() as port:
        assert failure(smtp(f"smtp://127.0.0.1:{port}", timeout=_SOON), port) == "timed out"
        assert failure(smtp(f"smtps://127.0.0.1:{port}", timeout=_SOON), port) == "timed out"
