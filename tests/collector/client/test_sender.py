"""Sending a batch: what is sent again, divided or given up, and through which connection."""

import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fake_collector import Collector, Proxy, Request

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.losses import Loss, Losses
from concurrent_log.collector.client.sender import Sender, retry_after
from concurrent_log.collector.client.settings import ClientSettings
from concurrent_log.collector.client.transport import HttpResponse

_NOON = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


class Pauses:
    """Waits for nothing, and remembers for how long it should have."""

    def __init__(self, most: int = 20) -> None:
        self.seconds: list[float] = []
        self._most = most

    def wait(self, seconds: float) -> None:
        """Remember it."""
        self.seconds.append(seconds)

    def should_stop(self, response: HttpResponse) -> bool:
        """Give up some time."""
        return len(self.seconds) >= self._most

    def time_left(self) -> float:
        """Have time."""
        return float("inf")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Return a collector that runs."""
    made = Collector().start()
    yield made
    made.stop()


class Sending:
    """A sender, its pauses and its losses."""

    def __init__(self, url: str, most: int = 20, **options: Any) -> None:
        self.pauses = Pauses(most)
        self.losses = Losses(lambda: None)
        self.sender = Sender(ClientSettings(url=url, **options), b'{"id":"test"}', self.losses, self.pauses)

    def send(self, count: int, name: str = "batch", losses: "list[Loss] | None" = None) -> bool:
        """Send a batch of so many records."""
        batch = OutgoingBatch(
            name, b'{"service":"shop"}', [b'{"message":"%s %d"}' % (name.encode(), n) for n in range(count)]
        )
        batch.losses = losses or []
        try:
            return self.sender.deliver(batch)
        finally:
            self.sender.close()


@pytest.fixture
def sending(collector: Collector) -> Callable[..., Sending]:
    """Return what makes a sender to the collector."""
    return lambda **options: Sending(collector.url, **options)


def numbered(count: int, name: str = "batch") -> list[str]:
    """Return what `Sending.send` sends."""
    return [f"{name} {number}" for number in range(count)]


class TestAgain:
    """What is sent again, under the same id."""

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
    def test_what_may_pass_is_sent_again(
        self, collector: Collector, sending: Callable[..., Sending], status: int
    ) -> None:
        """1.1 Retry: the same batch, until it is taken."""
        collector.behave = lambda request: (status, {}) if len(collector.requests) < 4 else None
        made = sending()

        assert made.send(10)
        assert collector.messages == numbered(10)
        assert [request.body["batch_id"] for request in collector.requests] == ["batch"] * 4
        assert made.sender.acknowledged == 10
        assert made.losses.totals() == {}

    def test_stored_batch_whose_answer_is_lost_is_stored_once(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """1.1 Success: nobody knows what became of it; the id tells."""
        collector.behave = lambda request: "lose" if len(collector.requests) < 3 else None
        made = sending()

        assert made.send(500)
        assert collector.messages == numbered(500)
        assert len(collector.requests) == 3
        assert made.sender.acknowledged == 500

    def test_server_that_answers_nothing_is_left(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """1.1 Retry: a request ends, and comes again."""
        collector.behave = lambda request: "hang" if len(collector.requests) == 1 else None

        assert sending(timeout=0.1).send(5)
        assert collector.messages == numbered(5)

    def test_server_that_answers_byte_by_byte_is_left(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """A slow loris: each byte comes in time, the answer never does."""
        collector.behave = lambda request: "dribble" if len(collector.requests) == 1 else None
        made = sending(timeout=0.2)

        assert made.send(5)
        assert collector.messages == numbered(5)
        assert "too long" in made.sender.last_error or "timed out" in made.sender.last_error

    @pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 405])
    def test_wrong_setup_is_said_once_and_costs_nothing(
        self, collector: Collector, sending: Callable[..., Sending], status: int, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Somebody puts the server or the way to it right, while records wait."""
        location = {"Location": f"{collector.url}/elsewhere"}
        collector.behave = lambda request: (status, location) if len(collector.requests) < 6 else None
        made = sending()

        assert made.send(3)
        assert collector.messages == numbered(3)
        assert {request.path for request in collector.requests} == {"/logs"}
        said = capfd.readouterr().err.splitlines()
        assert len(said) == 2
        assert f"{status} " in said[0]
        assert said[1].endswith("accepts records again")

    def test_nobody_listening_is_said_once(self, capfd: pytest.CaptureFixture[str]) -> None:
        """A server that is away for long."""
        made = Sending("http://127.0.0.1:9")

        assert not made.send(3)
        assert not made.sender.is_healthy
        assert len(capfd.readouterr().err.splitlines()) == 1

    def test_pauses_grow_at_random_up_to_a_minute(self) -> None:
        """1.1 Retry: full jitter, so that a thousand clients do not come back at once."""
        made = Sending("http://127.0.0.1:9", most=300)
        made.send(1)

        limits = [min(60.0, 0.5 * 2**number) for number in range(300)]
        assert all(0 <= seconds <= limit for seconds, limit in zip(made.pauses.seconds, limits, strict=True))
        assert max(made.pauses.seconds) > 30
        assert min(made.pauses.seconds[20:]) < 30

    def test_server_is_not_asked_before_it_wants(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """1.1 Retry: Retry-After, with a little at random added."""
        collector.behave = lambda request: (429, {"Retry-After": "7"}) if len(collector.requests) < 5 else None
        made = sending()
        made.send(1)

        assert len(made.pauses.seconds) == 4
        assert all(7 <= seconds <= 8 for seconds in made.pauses.seconds)

    def test_nobody_waits_a_day_because_a_server_says_so(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """Five minutes are the most."""
        collector.behave = lambda request: (503, {"Retry-After": "86400"}) if len(collector.requests) < 2 else None
        made = sending()
        made.send(1)

        assert 300 <= made.pauses.seconds[0] <= 301

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("", 0.0),
            ("5", 5.0),
            ("0.5", 0.5),
            ("-5", 0.0),
            ("nan", 0.0),
            ("soon", 0.0),
            ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
            ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
            ("Fri, 99 Jan 2027 07:00:00 GMT", 0.0),
        ],
    )
    def test_header_is_seconds_or_a_date(self, header: str, seconds: float) -> None:
        """RFC 9110, 10.2.3."""
        assert retry_after(header, _NOON) == seconds


class TestAnswers:
    """What other answers mean."""

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_every_success_is_one(self, collector: Collector, sending: Callable[..., Sending], status: int) -> None:
        """1.1 Success: 201, 202 and 204 are failures to the original, which sends the batch again."""
        collector.behave = lambda request: (status, {})
        made = sending()

        assert made.send(10)
        assert len(collector.requests) == 1
        assert made.sender.acknowledged == 10

    def test_too_large_batch_is_divided(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """413: in halves, in order, each with an id of its own."""
        collector.behave = lambda request: (413, {}) if len(request.body["logs"]) > 100 else None
        made = sending()

        assert made.send(1000)
        assert collector.messages == numbered(1000)
        assert len(collector.batches) == 16
        assert made.sender.acknowledged == 1000

    def test_half_whose_answer_is_lost_is_stored_once(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """413, and then a connection that breaks."""

        def behave(request: Request) -> Any:
            if len(request.body["logs"]) > 50:
                return 413, {}
            return "lose" if request.body["batch_id"] not in collector.batches else None

        collector.behave = behave

        assert sending().send(100)
        assert collector.messages == numbered(100)

    @pytest.mark.parametrize("status", [400, 413])
    @pytest.mark.parametrize("most", [50, 1])
    def test_parts_of_what_is_stored_already_are_not_stored_again(
        self, collector: Collector, sending: Callable[..., Sending], status: int, most: int
    ) -> None:
        """The answer to a batch, and to a half of it, is lost; then a server that takes less refuses them."""

        def behave(request: Request) -> Any:
            count = len(request.body["logs"])
            if count <= most:
                return None
            is_new = count > 50 and request.body["batch_id"] not in collector.batches
            return "lose" if is_new and len(collector.requests) < 3 else (status, {})

        collector.behave = behave
        made = sending()

        assert made.send(100)
        assert collector.messages == numbered(100)
        assert made.sender.acknowledged == 100
        assert made.losses.totals() == {}

    def test_parts_of_a_half_that_is_stored_already_are_not_stored_again(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """The same, where it was a part that was stored: the other half is stored as well."""
        first = "batch:0-50"

        def behave(request: Request) -> Any:
            if request.body["batch_id"] == first:
                return (413, {}) if first in collector.batches else "lose"
            return (413, {}) if len(request.body["logs"]) > 50 else None

        collector.behave = behave

        assert sending().send(100)
        assert collector.messages == numbered(100)
        assert set(collector.batches) == {first, "batch:50-100"}

    def test_part_says_what_it_is_a_part_of(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """The whole comes first; a batch that was never divided says nothing of this."""
        collector.behave = lambda request: (413, {}) if len(request.body["logs"]) > 2 else None
        sending().send(7)

        said = {request.body["batch_id"]: request.body.get("part_of") for request in collector.requests}
        assert said == {
            "batch": None,
            "batch:0-3": ["batch"],
            "batch:0-1": ["batch", "batch:0-3"],
            "batch:1-3": ["batch", "batch:0-3"],
            "batch:3-7": ["batch"],
            "batch:3-5": ["batch", "batch:3-7"],
            "batch:5-7": ["batch", "batch:3-7"],
        }

    def test_whole_that_comes_again_after_its_parts_is_divided(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """A process that forgot that it had divided a batch, such as after a crash on a full disk."""

        def behave(request: Request) -> Any:
            if len(request.body["logs"]) > 50:
                return 413, {}
            return (500, {}) if collector.batches else None

        collector.behave = behave
        assert not sending(most=3).send(100)
        assert collector.messages == numbered(50)
        collector.behave = lambda request: None

        assert sending().send(100)
        assert collector.messages == numbered(100)

    def test_record_too_large_alone_is_shortened(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """413 for one record: most of it is better than nothing, and the others go as they are."""
        collector.behave = lambda request: (413, {}) if int(request.headers["Content-Length"]) > 30_000 else None
        made = sending(compress_from=None)
        logs = [b'{"message":"small"}', b'{"message":"%s","level":"INFO"}' % (b"x" * 100_000), b'{"message":"last"}']

        assert made.sender.deliver(OutgoingBatch("batch", b"{}", logs))
        made.sender.close()
        assert [message[:5] for message in collector.messages] == ["small", "xxxxx", "last"]
        assert collector.messages[1].endswith("x… [83,616 characters left out]")
        assert made.losses.totals() == {}

    @pytest.mark.parametrize("others", [0, 3])
    def test_record_is_not_stored_again_when_it_is_shortened(
        self, collector: Collector, sending: Callable[..., Sending], others: int
    ) -> None:
        """Its answer was lost, whole or shortened before, and then the limit sinks: it is one record, stored once."""
        limit = 200_000

        def behave(request: Request) -> Any:
            nonlocal limit
            size = int(request.headers["Content-Length"])
            if size > limit or len(request.body["logs"]) > 1:
                return 413, {}
            limit = size // 2 if size > 1000 else limit
            return "lose" if size > 1000 else None

        collector.behave = behave
        made = sending(compress_from=None)
        logs = [b'{"message":"%s"}' % (b"x" * 100_000), *[b'{"message":"small"}'] * others]

        assert made.sender.deliver(OutgoingBatch("batch", b"{}", logs))
        made.sender.close()
        assert [message[:5] for message in collector.messages] == ["xxxxx", *["small"] * others]
        assert made.losses.totals() == {}

    def test_record_that_was_shortened_before_is_not_stored_as_it_was(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """After a crash it comes whole again, and the server takes more by now."""
        record = b'{"message":"%s"}' % (b"x" * 100_000)
        collector.behave = lambda request: (413, {}) if len(str(request.body)) > 30_000 else "lose"
        before = sending(most=0)
        before.sender.deliver(OutgoingBatch("batch", b"{}", [record]))
        before.sender.close()
        collector.behave = lambda request: None
        after = sending()
        after.sender.deliver(OutgoingBatch("batch", b"{}", [record]))
        after.sender.close()

        assert list(collector.batches) == ["batch:0-1-16384"]
        assert [request.body["batch_id"] for request in collector.requests][-2:] == ["batch", "batch:0-1-16384"]

    def test_record_that_is_still_too_large_is_shortened_once_to_each_length(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """What is too large after attempts in vain is made shorter, not as short as it is; what is missing is said."""
        answers: list[Any] = [(413, {}), (503, {}), (413, {}), None]
        collector.behave = lambda request: answers[len(collector.requests) - 1]
        made = sending(most=0)

        assert made.sender.deliver(OutgoingBatch("batch", b"{}", [b'{"message":"%s"}' % (b"x" * 100_000)]))
        made.sender.close()
        assert list(collector.batches) == ["batch:0-1-2048"]
        assert collector.messages == ["x" * 2048 + "… [97,952 characters left out]"]

    def test_record_that_stays_too_large_is_dropped_and_counted(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """413 for whatever this record becomes."""
        collector.behave = lambda request: (413, {}) if "batch 3" in str(request.body["logs"]) else None
        made = sending()

        assert made.send(10)
        assert collector.messages == [text for text in numbered(10) if text != "batch 3"]
        assert made.losses.totals() == {"too large for the server": 1}

    def test_bad_record_costs_no_other(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """1.2: one bad record costs the original the whole batch, after three more attempts."""
        collector.behave = lambda request: (400, {}) if "batch 617" in str(request.body["logs"]) else None
        made = sending()

        assert made.send(1000)
        assert collector.messages == [text for text in numbered(1000) if text != "batch 617"]
        assert made.losses.totals() == {"refused by the server": 1}
        assert len(collector.requests) < 25

    def test_server_that_refuses_everything_is_not_asked_for_each(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """Another kind of server, perhaps."""
        collector.behave = lambda request: (400, {})
        made = sending()

        assert made.send(1000)
        assert made.losses.totals() == {"refused by the server": 1000}
        assert len(collector.requests) < 60

    def test_rejected_records_are_counted(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """A success that says which records are beyond repair."""
        collector.reject = lambda record: record["message"] in ("batch 1", "batch 2")
        made = sending()

        assert made.send(10)
        assert made.sender.acknowledged == 8
        assert made.losses.totals() == {"rejected by the server": 2}

    def test_server_without_gzip_gets_none(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """415: from then on as it is."""
        collector.behave = lambda request: (415, {}) if request.headers.get("Content-Encoding") else None
        made = sending(compress_from=1)

        assert made.send(10)
        assert made.send(10, "next")
        assert collector.messages == [*numbered(10), *numbered(10, "next")]
        assert len(collector.requests) == 3

    def test_losses_are_reported_once_however_often_they_are_sent(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """The report is part of the batch, and is stored with it."""
        collector.behave = lambda request: "lose" if len(collector.requests) < 3 else None
        sending().send(10, losses=[Loss("queue full", 12, _NOON)])

        assert collector.drops == {"queue full": 12}
        assert [len(request.body["dropped"]) for request in collector.requests] == [1, 1, 1]

    def test_report_goes_with_the_first_part(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """413: not with each."""
        collector.behave = lambda request: (413, {}) if len(request.body["logs"]) > 10 else None
        sending().send(40, losses=[Loss("queue full", 12, _NOON)])

        assert collector.drops == {"queue full": 12}

    def test_report_of_a_refused_record_goes_with_the_next_batch(
        self, collector: Collector, sending: Callable[..., Sending]
    ) -> None:
        """400: what the server refused, it did not count."""
        collector.behave = lambda request: (400, {}) if len(collector.requests) == 1 else None
        made = sending()
        made.send(1, losses=[Loss("queue full", 12, _NOON)])
        made.send(1, "next", losses=made.losses.take_report())

        assert collector.drops == {"queue full": 12, "refused by the server": 1}


class TestConnection:
    """How requests travel."""

    def test_connection_is_kept(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """1.1 HTTP: the original opens one for each batch."""
        made = sending()
        for number in range(5):
            made.sender.deliver(OutgoingBatch(str(number), b"{}", [b'{"message":"x"}']))
        made.sender.close()

        assert len({request.peer for request in collector.requests}) == 1

    @pytest.mark.parametrize(("count", "encoding"), [(99, None), (100, "gzip")])
    def test_batch_is_compressed_from_100_records_on(
        self, collector: Collector, sending: Callable[..., Sending], count: int, encoding: "str | None"
    ) -> None:
        """The seed's rule."""
        sending().send(count)

        assert collector.requests[0].headers.get("Content-Encoding") == encoding
        assert len(collector.logs) == count

    def test_token_and_headers_are_sent(self, collector: Collector, sending: Callable[..., Sending]) -> None:
        """1.1 HTTP: the original has neither."""
        sending(token="secret", headers={"X-Tenant": "a"}).send(1)

        assert collector.requests[0].headers["Authorization"] == "Bearer secret"
        assert collector.requests[0].headers["X-Tenant"] == "a"

    @pytest.mark.parametrize("path", ["", "/", "/logs", "/base", "/base/logs"])
    def test_records_go_to_logs(self, collector: Collector, path: str) -> None:
        """The address of the server, or of its logs."""
        Sending(collector.url + path).send(1)

        assert collector.requests[0].path == ("/base/logs" if "base" in path else "/logs")

    def test_http_goes_through_the_proxy(
        self, collector: Collector, monkeypatch: pytest.MonkeyPatch, proxy: Proxy
    ) -> None:
        """1.1 HTTP: proxies from the environment."""
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@127.0.0.1:{proxy.port}")
        Sending(collector.url).send(5)

        assert collector.messages == numbered(5)
        assert proxy.asked == [f"POST {collector.url}/logs"]
        assert proxy.authorizations == ["Basic dXNlcjpwQHNz"]

    def test_no_proxy_is_obeyed(self, collector: Collector, monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> None:
        """As with everything else on the machine."""
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
        Sending(collector.url).send(5)

        assert collector.messages == numbered(5)
        assert proxy.asked == []


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Return a proxy that runs."""
    made = Proxy()
    yield made
    made.stop()


class TestEncryption:
    """TLS, with an authority of one's own, and a certificate of the client."""

    @pytest.fixture
    def authority(self, require: Callable[[str], None]) -> Any:
        """Return an authority that nobody knows."""
        require("trustme")
        import trustme

        return trustme.CA()

    @pytest.fixture
    def secure(self, authority: Any) -> Iterator[Collector]:
        """Return a collector that asks for a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        made = Collector().start(context=context)
        yield made
        made.stop()

    @pytest.fixture
    def files(self, authority: Any, tmp_path: Path) -> dict[str, Any]:
        """Return the arguments that name the certificates."""
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        mine = authority.issue_cert("client")
        mine.private_key_pem.write_to_path(tmp_path / "key.pem")
        mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        certificate = [tmp_path / "cert.pem", tmp_path / "key.pem"]
        return {"ca_file": tmp_path / "ca.pem", "client_certificate": certificate}

    def test_private_authority_and_client_certificate(self, secure: Collector, files: dict[str, Any]) -> None:
        """1.1 HTTP: the original has neither."""
        made = Sending(secure.url, **files)

        assert made.send(200), made.sender.last_error
        assert secure.messages == numbered(200)

    def test_unknown_authority_is_not_trusted(self, secure: Collector, files: dict[str, Any]) -> None:
        """And no record goes there."""
        made = Sending(secure.url, most=3)

        assert not made.send(1)
        assert "certificate" in made.sender.last_error.lower()
        assert secure.requests == []

    def test_client_without_a_certificate_is_refused(self, secure: Collector, files: dict[str, Any]) -> None:
        """By this server."""
        made = Sending(secure.url, most=3, ca_file=files["ca_file"])

        assert not made.send(1)
        assert secure.requests == []

    def test_https_goes_through_the_proxy(
        self, secure: Collector, files: dict[str, Any], monkeypatch: pytest.MonkeyPatch, proxy: Proxy
    ) -> None:
        """CONNECT: the proxy sees neither records nor token."""
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        Sending(secure.url, **files).send(5)

        assert secure.messages == numbered(5)
        assert proxy.asked == [f"CONNECT {secure.url.removeprefix('https://')}"]


def test_what_urllib3_logs_is_no_reason_to_send(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """No recursion: a logger of everything, with the handler at its root."""
    from concurrent_log.collector import CollectorHandler

    handler = CollectorHandler(collector.url, flush_interval=0.01)
    caplog.set_level(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    try:
        for number in range(5):
            logging.getLogger("app").info("record %d", number)
            assert handler.flush(30)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()

    assert any(record.name.startswith("urllib3") for record in caplog.records)
    assert collector.messages == [f"record {number}" for number in range(5)]
