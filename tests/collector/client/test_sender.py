"""`Sender`: which batches are retried, divided or given up, and the connection."""

import json
import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fake_collector import DEADLINE, Collector, Proxy, Request

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.losses import Loss, Losses
from concurrent_log.collector.client.sender import Sender, retry_after
from concurrent_log.collector.client.settings import ClientSettings
from concurrent_log.collector.client.transport import CollectorConnection, CollectorResponse
from concurrent_log.collector.client.wire.collector import CollectorFormat

_NOON = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


class FakeControl:
    """Records the pauses instead of waiting."""

    def __init__(self, most: int = 20) -> None:
        self.seconds: list[float] = []
        self._most = most

    def wait(self, seconds: float) -> None:
        """Record the pause."""
        self.seconds.append(seconds)

    def should_stop(self, response: CollectorResponse) -> bool:
        """Stop after the maximum number of pauses."""
        return len(self.seconds) >= self._most

    def time_left(self) -> float:
        """Return no limit."""
        return float("inf")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class SenderUnderTest:
    """A sender with its recorded pauses and its losses."""

    def __init__(self, url: str, most: int = 20, **options: Any) -> None:
        self.control = FakeControl(most)
        self.losses = Losses(lambda: None)
        self.sender = Sender(ClientSettings(url=url, **options), CollectorFormat("test"), self.losses, self.control)

    def send(self, count: int, name: str = "batch", losses: "list[Loss] | None" = None) -> bool:
        """Send a batch of ``count`` records."""
        batch = OutgoingBatch(
            name, b'{"service":"shop"}', [b'{"message":"%s %d"}' % (name.encode(), n) for n in range(count)]
        )
        batch.losses = losses or []
        try:
            return self.sender.deliver(batch)
        finally:
            self.sender.close()


@pytest.fixture
def make_sender(collector: Collector) -> Callable[..., SenderUnderTest]:
    """Return a function that creates a sender to the collector."""
    return lambda **options: SenderUnderTest(collector.url, **options)


def numbered(count: int, name: str = "batch") -> list[str]:
    """Return the messages that `SenderUnderTest.send` sends."""
    return [f"{name} {number}" for number in range(count)]


class TestRetry:
    """Batches that are sent again, under the same id."""

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
    def test_temporary_error_is_retried(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest], status: int
    ) -> None:
        """The same batch is sent until the server accepts it."""
        collector.behave = lambda request: (status, {}) if len(collector.requests) < 4 else None
        tested = make_sender()

        assert tested.send(10)
        assert collector.messages == numbered(10)
        assert [request.body["batch_id"] for request in collector.requests] == ["batch"] * 4
        assert tested.sender.acknowledged == 10
        assert tested.losses.totals() == {}

    def test_batch_whose_response_is_lost_is_stored_once(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The server recognizes the batch by its id."""
        collector.behave = lambda request: "lose" if len(collector.requests) < 3 else None
        tested = make_sender()

        assert tested.send(500)
        assert collector.messages == numbered(500)
        assert len(collector.requests) == 3
        assert tested.sender.acknowledged == 500

    def test_server_that_does_not_respond_times_out(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The request ends after the timeout, and is repeated."""
        collector.behave = lambda request: "hang" if len(collector.requests) == 1 else None

        assert make_sender(timeout=0.1).send(5)
        assert collector.messages == numbered(5)

    def test_server_that_responds_byte_by_byte_times_out(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """Each byte arrives in time, but the response never does."""
        collector.behave = lambda request: "dribble" if len(collector.requests) == 1 else None
        tested = make_sender(timeout=0.2)

        assert tested.send(5)
        assert collector.messages == numbered(5)
        assert "too long" in tested.sender.last_error or "timed out" in tested.sender.last_error

    @pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 405])
    def test_wrong_configuration_is_reported_once_and_loses_nothing(
        self,
        collector: Collector,
        make_sender: Callable[..., SenderUnderTest],
        status: int,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """The configuration can be fixed while the records are queued."""
        location = {"Location": f"{collector.url}/elsewhere"}
        collector.behave = lambda request: (status, location) if len(collector.requests) < 6 else None
        tested = make_sender()

        assert tested.send(3)
        assert collector.messages == numbered(3)
        assert {request.path for request in collector.requests} == {"/logs"}
        lines = capfd.readouterr().err.splitlines()
        assert len(lines) == 2
        assert f"{status} " in lines[0]
        assert lines[1].endswith("accepts records again")

    def test_unreachable_server_is_reported_once(self, capfd: pytest.CaptureFixture[str]) -> None:
        """A long outage causes one line, not one for each attempt."""
        tested = SenderUnderTest("http://127.0.0.1:9")

        assert not tested.send(3)
        assert not tested.sender.is_healthy
        assert len(capfd.readouterr().err.splitlines()) == 1

    def test_pauses_are_random_and_grow_up_to_a_minute(self) -> None:
        """With full jitter, many clients do not return at the same moment."""
        tested = SenderUnderTest("http://127.0.0.1:9", most=300)
        tested.send(1)

        limits = [min(60.0, 0.5 * 2**number) for number in range(300)]
        assert all(0 <= seconds <= limit for seconds, limit in zip(tested.control.seconds, limits, strict=True))
        assert max(tested.control.seconds) > 30
        assert min(tested.control.seconds[20:]) < 30

    def test_retry_after_is_respected(self, collector: Collector, make_sender: Callable[..., SenderUnderTest]) -> None:
        """The pause is ``Retry-After`` and a random part of a second."""
        collector.behave = lambda request: (429, {"Retry-After": "7"}) if len(collector.requests) < 5 else None
        tested = make_sender()
        tested.send(1)

        assert len(tested.control.seconds) == 4
        assert all(7 <= seconds <= 8 for seconds in tested.control.seconds)

    def test_retry_after_is_limited_to_five_minutes(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """A server cannot stop the client for a day."""
        collector.behave = lambda request: (503, {"Retry-After": "86400"}) if len(collector.requests) < 2 else None
        tested = make_sender()
        tested.send(1)

        assert 300 <= tested.control.seconds[0] <= 301

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
    def test_retry_after_is_a_number_or_a_date(self, header: str, seconds: float) -> None:
        """RFC 9110, 10.2.3, defines both forms."""
        assert retry_after(header, _NOON) == seconds


_HTML = {"Content-Type": "text/html"}
_JSON = {"Content-Type": "application/json"}
_LOGIN_PAGE = b"<!doctype html><title>Log in</title><form action=/sso>"
_ANSWER: dict[str, Any] = {
    "status": "ok",
    "protocol": 2,
    "batch_id": "batch",
    "count": 10,
    "stored": 10,
    "duplicate": False,
    "rejected": [],
}


def answer(**changes: Any) -> bytes:
    """Return the body of a success, with changes."""
    return json.dumps({**_ANSWER, **changes}).encode()


# Answers of something else, by what it is.
_FOREIGN = {
    "login page": (200, _HTML, _LOGIN_PAGE),
    "login page that claims to be JSON": (200, _JSON, _LOGIN_PAGE),
    "nothing": (204, {}, b""),
    "accepted by a queue": (202, _JSON, b"{}"),
    "another program": (200, _JSON, b'{"status":"ok"}'),
    "another program's list": (200, _JSON, b"[]"),
    "ours, as text": (200, {"Content-Type": "text/plain"}, answer()),
    "answer to another batch": (200, _JSON, answer(batch_id="another")),
    "answer without the id": (200, _JSON, answer(batch_id=None)),
    "other number of records": (200, _JSON, answer(count=9)),
    "number as text": (200, _JSON, answer(count="10")),
    "number of stored records as text": (200, _JSON, answer(stored="10")),
    "more stored than sent": (200, _JSON, answer(stored=11)),
    "echo of the request": (200, _JSON, b'{"batch_id":"batch","logs":[]}'),
    "unknown protocol": (200, _JSON, answer(protocol="x")),
    "deeply nested": (200, _JSON, b"[" * 100_000),
    "refusal of a proxy": (400, _HTML, b"<h1>400 Bad Request</h1>"),
    "refusal of another program": (422, _JSON, b'{"errors":["url"]}'),
    "a proxy's limit of almost nothing": (413, _HTML, b"<h1>413 Request Entity Too Large</h1>"),
}


class TestForeignAnswers:
    """Answers that are not the collector's: nothing is acknowledged, and nothing is lost."""

    @pytest.mark.parametrize("kind", _FOREIGN)
    def test_only_the_collector_acknowledges(
        self,
        collector: Collector,
        make_sender: Callable[..., SenderUnderTest],
        capsys: pytest.CaptureFixture[str],
        kind: str,
    ) -> None:
        """The batch is sent again until the collector answers; one line reports the failure, another one its end."""
        collector.behave = lambda request: _FOREIGN[kind] if len(collector.requests) < 5 else None
        tested = make_sender()

        assert tested.send(10)
        assert collector.messages == numbered(10)
        assert [request.body["batch_id"] for request in collector.requests] == ["batch"] * 5
        assert tested.sender.acknowledged == 10
        assert tested.losses.totals() == {}
        lines = capsys.readouterr().err.splitlines()
        assert ["does not accept records; they stay queued" in line for line in lines] == [True, False]
        assert f": {_FOREIGN[kind][0]}" in lines[0]
        assert lines[1].endswith("accepts records again")

    @pytest.mark.parametrize(
        ("content", "acknowledged"),
        [
            (b'{"status":"ok","count":10,"stored":10,"duplicate":false,"rejected":[]}', 10),
            (b'{"status":"ok","count":10,"stored":0,"duplicate":true,"rejected":[]}', 10),
            (b'{"status":"ok","count":10,"stored":9,"duplicate":false,"rejected":[{"index":1,"reason":"x"}]}', 9),
        ],
    )
    def test_answer_of_an_earlier_server_is_believed(
        self,
        collector: Collector,
        make_sender: Callable[..., SenderUnderTest],
        content: bytes,
        acknowledged: int,
    ) -> None:
        """Version 1 of the protocol has no version and no id in its answers, only the number of records."""
        collector.behave = lambda request: (200, _JSON, content)
        tested = make_sender()

        assert tested.send(10)
        assert len(collector.requests) == 1
        assert tested.sender.acknowledged == acknowledged
        assert sum(tested.losses.totals().values()) == 10 - acknowledged

    def test_records_that_the_server_has_not_stored_are_counted(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The server stored 7 of 10, and gives no reasons."""
        collector.behave = lambda request: (200, _JSON, answer(stored=7))
        tested = make_sender()

        assert tested.send(10)
        assert tested.sender.acknowledged == 7
        assert tested.losses.totals() == {"rejected by the server": 3}

    @pytest.mark.parametrize("text", ["\x1b]0;pwned\x07\x1b[2J", "\u202egnp.exe", "\x9b2J\r\x00"])
    def test_answer_cannot_control_the_terminal(
        self,
        collector: Collector,
        make_sender: Callable[..., SenderUnderTest],
        capsys: pytest.CaptureFixture[str],
        text: str,
    ) -> None:
        """Control characters are printed as escapes."""
        collector.behave = lambda request: (403, _HTML, f"forbidden {text}!".encode())
        tested = make_sender(most=4)

        assert not tested.send(1)
        printed = capsys.readouterr().err
        assert "403 forbidden" in printed
        assert (printed.replace("\n", "") + tested.sender.last_error).isprintable()

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirect_is_not_followed(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest], status: int
    ) -> None:
        """Another origin receives neither the token nor the records."""
        other = Collector().start()
        collector.behave = lambda request: (status, {"Location": f"{other.url}/logs"})
        tested = make_sender(most=3, token="a-secret")
        try:
            assert not tested.send(10)
            assert other.requests == []
            assert tested.sender.acknowledged == 0
        finally:
            other.stop()


class TestUnusableProxies:
    """A proxy variable that cannot be used loses no record, and its password appears nowhere."""

    @pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
    @pytest.mark.parametrize(
        "proxy",
        [
            "socks5://user:pa55word@127.0.0.1:1080",
            "http://user:pa55word@127.0.0.1:port",
            "http://user:pa55word@[::1",
            "http://",
            "ftp://user:pa55word@127.0.0.1",
            "http://user:pa55word@127.0.0.1:99999",
        ],
    )
    def test_batch_is_sent_when_the_proxy_is_corrected(
        self,
        collector: Collector,
        make_sender: Callable[..., SenderUnderTest],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        proxy: str,
        name: str,
    ) -> None:
        """The failure is reported once, and tried again."""
        monkeypatch.setenv(name, proxy)
        tested = make_sender(most=4)
        is_sent = tested.send(10)
        monkeypatch.delenv(name)

        assert not is_sent
        assert tested.losses.totals() == {}
        printed = capsys.readouterr().err
        assert printed.count("does not accept records; they stay queued") == 1
        assert "pa55word" not in printed + tested.sender.last_error
        assert make_sender().send(10)
        assert collector.messages == numbered(10)


class TestChangedRecords:
    """Records that are stored, but not as they were sent at first."""

    def test_divided_and_shortened_records_are_counted_at_both_ends(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """They are no losses."""
        collector.behave = lambda request: (413, {}) if int(request.headers["Content-Length"]) > 30_000 else None
        tested = make_sender(compress_from=None)
        logs = [b'{"message":"small"}', b'{"message":"%s"}' % (b"x" * 100_000), b'{"message":"last"}']
        assert tested.sender.deliver(OutgoingBatch("batch", b"{}", logs))

        assert tested.losses.changed() == {"sent in a divided batch": 2, "sent with shorter texts": 1}
        assert tested.losses.totals() == {}
        assert tested.send(1, "next", tested.losses.take_report())
        assert collector.drops == {"sent in a divided batch": 2, "sent with shorter texts": 1}


class TestResponses:
    """The consequences of a response."""

    def test_too_large_batch_is_divided(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """After a 413, the halves are sent in order, each with its own id."""
        collector.behave = lambda request: (413, {}) if len(request.body["logs"]) > 100 else None
        tested = make_sender()

        assert tested.send(1000)
        assert collector.messages == numbered(1000)
        assert len(collector.batches) == 16
        assert tested.sender.acknowledged == 1000

    def test_half_whose_response_is_lost_is_stored_once(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The connection breaks while a half is sent."""

        def behave(request: Request) -> Any:
            if len(request.body["logs"]) > 50:
                return 413, {}
            return "lose" if request.body["batch_id"] not in collector.batches else None

        collector.behave = behave

        assert make_sender().send(100)
        assert collector.messages == numbered(100)

    def test_batch_whose_id_has_other_records_is_reported_as_lost(
        self,
        collector: Collector,
        make_sender: Callable[..., SenderUnderTest],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """After a 409, the batch is neither repeated nor divided: as a part, it would be a duplicate."""
        refusal = {"detail": "other records are stored under this batch_id"}
        collector.behave = lambda request: (409, _JSON, json.dumps(refusal).encode())
        tested = make_sender()
        is_settled = tested.send(10)
        tested.losses.print_if_due(0, at_once=True)
        collector.behave = lambda request: None

        assert is_settled
        assert len(collector.requests) == 1
        assert tested.losses.totals() == {"other records are stored under the batch id": 10}
        assert "lost since" in capsys.readouterr().err
        assert tested.send(10, "next", tested.losses.take_report())
        assert collector.drops == {"other records are stored under the batch id": 10}

    def test_conflict_of_another_server_loses_nothing(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """A 409 that is not the collector's is tried again."""
        collector.behave = lambda request: (409, _HTML, b"conflict") if len(collector.requests) < 3 else None
        tested = make_sender()

        assert tested.send(10)
        assert tested.losses.totals() == {}
        assert collector.messages == numbered(10)

    @pytest.mark.parametrize("status", [400, 413])
    @pytest.mark.parametrize("most", [50, 1])
    def test_parts_of_a_stored_batch_are_not_stored_again(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest], status: int, most: int
    ) -> None:
        """The responses to a batch and to its half are lost, and then the server refuses batches of that size."""

        def behave(request: Request) -> Any:
            count = len(request.body["logs"])
            if count <= most:
                return None
            is_new = count > 50 and request.body["batch_id"] not in collector.batches
            return "lose" if is_new and len(collector.requests) < 3 else (status, {})

        collector.behave = behave
        tested = make_sender()

        assert tested.send(100)
        assert collector.messages == numbered(100)
        assert tested.sender.acknowledged == 100
        assert tested.losses.totals() == {}

    def test_parts_of_a_stored_half_are_not_stored_again(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The server has stored one half; the other half is stored as well."""
        first = "batch:0-50"

        def behave(request: Request) -> Any:
            if request.body["batch_id"] == first:
                return (413, {}) if first in collector.batches else "lose"
            return (413, {}) if len(request.body["logs"]) > 50 else None

        collector.behave = behave

        assert make_sender().send(100)
        assert collector.messages == numbered(100)
        assert set(collector.batches) == {first, "batch:50-100"}

    def test_part_names_the_batches_that_it_is_part_of(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The whole batch is named first; an undivided batch names none."""
        collector.behave = lambda request: (413, {}) if len(request.body["logs"]) > 2 else None
        make_sender().send(7)

        part_of = {request.body["batch_id"]: request.body.get("part_of") for request in collector.requests}
        assert part_of == {
            "batch": None,
            "batch:0-3": ["batch"],
            "batch:0-1": ["batch", "batch:0-3"],
            "batch:1-3": ["batch", "batch:0-3"],
            "batch:3-7": ["batch"],
            "batch:3-5": ["batch", "batch:3-7"],
            "batch:5-7": ["batch", "batch:3-7"],
        }

    def test_whole_batch_sent_after_its_parts_is_divided(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """After a crash on a full disk, the client does not know that it has divided the batch."""

        def behave(request: Request) -> Any:
            if len(request.body["logs"]) > 50:
                return 413, {}
            return (500, {}) if collector.batches else None

        collector.behave = behave
        assert not make_sender(most=3).send(100)
        assert collector.messages == numbered(50)
        collector.behave = lambda request: None

        assert make_sender().send(100)
        assert collector.messages == numbered(100)

    def test_single_record_too_large_is_shortened(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The record is sent with shorter texts, and the others are unchanged."""
        collector.behave = lambda request: (413, {}) if int(request.headers["Content-Length"]) > 30_000 else None
        tested = make_sender(compress_from=None)
        logs = [b'{"message":"small"}', b'{"message":"%s","level":"INFO"}' % (b"x" * 100_000), b'{"message":"last"}']

        assert tested.sender.deliver(OutgoingBatch("batch", b"{}", logs))
        tested.sender.close()
        assert [message[:5] for message in collector.messages] == ["small", "xxxxx", "last"]
        assert collector.messages[1].endswith("x… [83,616 characters left out]")
        assert tested.losses.totals() == {}

    @pytest.mark.parametrize("others", [0, 3])
    def test_shortened_record_is_not_stored_again(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest], others: int
    ) -> None:
        """The response was lost, and then the server's limit decreases: the record is stored once."""
        limit = 200_000

        def behave(request: Request) -> Any:
            nonlocal limit
            size = int(request.headers["Content-Length"])
            if size > limit or len(request.body["logs"]) > 1:
                return 413, {}
            limit = size // 2 if size > 1000 else limit
            return "lose" if size > 1000 else None

        collector.behave = behave
        tested = make_sender(compress_from=None)
        logs = [b'{"message":"%s"}' % (b"x" * 100_000), *[b'{"message":"small"}'] * others]

        assert tested.sender.deliver(OutgoingBatch("batch", b"{}", logs))
        tested.sender.close()
        assert [message[:5] for message in collector.messages] == ["xxxxx", *["small"] * others]
        assert tested.losses.totals() == {}

    def test_record_stored_shortened_is_not_stored_whole(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """After a crash the whole record is sent again, and the server's limit is higher by then."""
        record = b'{"message":"%s"}' % (b"x" * 100_000)
        collector.behave = lambda request: (413, {}) if len(str(request.body)) > 30_000 else "lose"
        before = make_sender(most=0)
        before.sender.deliver(OutgoingBatch("batch", b"{}", [record]))
        before.sender.close()
        collector.behave = lambda request: None
        after = make_sender()
        after.sender.deliver(OutgoingBatch("batch", b"{}", [record]))
        after.sender.close()

        assert list(collector.batches) == ["batch:0-1-16384"]
        assert [request.body["batch_id"] for request in collector.requests][-2:] == ["batch", "batch:0-1-16384"]

    def test_record_is_shortened_once_to_each_length(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """After a failed attempt the next length is shorter, and the text contains the number of missing characters."""
        responses: list[Any] = [(413, {}), (503, {}), (413, {}), None]
        collector.behave = lambda request: responses[len(collector.requests) - 1]
        tested = make_sender(most=0)

        assert tested.sender.deliver(OutgoingBatch("batch", b"{}", [b'{"message":"%s"}' % (b"x" * 100_000)]))
        tested.sender.close()
        assert list(collector.batches) == ["batch:0-1-2048"]
        assert collector.messages == ["x" * 2048 + "… [97,952 characters left out]"]

    def test_record_that_stays_too_large_is_dropped_and_counted(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The server refuses the record at every length."""
        collector.behave = lambda request: (413, {}) if "batch 3" in str(request.body["logs"]) else None
        tested = make_sender()

        assert tested.send(10)
        assert collector.messages == [text for text in numbered(10) if text != "batch 3"]
        assert tested.losses.totals() == {"too large for the server": 1}

    def test_bad_record_loses_no_other(self, collector: Collector, make_sender: Callable[..., SenderUnderTest]) -> None:
        """The batch is divided until the bad record is alone; log-collector-async loses the whole batch."""
        collector.behave = lambda request: (400, {}) if "batch 617" in str(request.body["logs"]) else None
        tested = make_sender()

        assert tested.send(1000)
        assert collector.messages == [text for text in numbered(1000) if text != "batch 617"]
        assert tested.losses.totals() == {"refused by the server": 1}
        assert len(collector.requests) < 25

    def test_server_that_refuses_everything_gets_few_requests(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The URL may be that of another kind of server."""
        collector.behave = lambda request: (400, {})
        tested = make_sender()

        assert tested.send(1000)
        assert tested.losses.totals() == {"refused by the server": 1000}
        assert len(collector.requests) < 60

    def test_rejected_records_are_counted(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """A success may contain the records that the server rejected."""
        collector.reject = lambda record: record["message"] in ("batch 1", "batch 2")
        tested = make_sender()

        assert tested.send(10)
        assert tested.sender.acknowledged == 8
        assert tested.losses.totals() == {"rejected by the server": 2}

    def test_server_without_gzip_gets_uncompressed_batches(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """After a 415, nothing is compressed."""
        collector.behave = lambda request: (415, {}) if request.headers.get("Content-Encoding") else None
        tested = make_sender(compress_from=1)

        assert tested.send(10)
        assert tested.send(10, "next")
        assert collector.messages == [*numbered(10), *numbered(10, "next")]
        assert len(collector.requests) == 3

    def test_losses_are_counted_once_although_sent_repeatedly(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The losses are part of the batch, and are stored with it."""
        collector.behave = lambda request: "lose" if len(collector.requests) < 3 else None
        make_sender().send(10, losses=[Loss("queue full", 12, _NOON)])

        assert collector.drops == {"queue full": 12}
        assert [len(request.body["dropped"]) for request in collector.requests] == [1, 1, 1]

    def test_losses_are_sent_with_the_first_part(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """They are not sent with every part of a divided batch."""
        collector.behave = lambda request: (413, {}) if len(request.body["logs"]) > 10 else None
        make_sender().send(40, losses=[Loss("queue full", 12, _NOON)])

        assert collector.drops == {"queue full": 12}

    def test_losses_of_a_refused_batch_are_sent_with_the_next(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The server does not count the losses in a batch that it refuses."""
        collector.behave = lambda request: (400, {}) if len(collector.requests) == 1 else None
        tested = make_sender()
        tested.send(1, losses=[Loss("queue full", 12, _NOON)])
        tested.send(1, "next", losses=tested.losses.take_report())

        assert collector.drops == {"queue full": 12, "refused by the server": 1}


class TestConnection:
    """Connections, headers and proxies."""

    def test_connection_is_reused(self, collector: Collector, make_sender: Callable[..., SenderUnderTest]) -> None:
        """All batches use the same connection."""
        tested = make_sender()
        for number in range(5):
            tested.sender.deliver(OutgoingBatch(str(number), b"{}", [b'{"message":"x"}']))
        tested.sender.close()

        assert len({request.peer for request in collector.requests}) == 1

    @pytest.mark.parametrize(("count", "encoding"), [(99, None), (100, "gzip")])
    def test_batch_of_100_records_is_compressed(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest], count: int, encoding: "str | None"
    ) -> None:
        """A smaller batch is not compressed."""
        make_sender().send(count)

        assert collector.requests[0].headers.get("Content-Encoding") == encoding
        assert len(collector.logs) == count

    def test_token_and_headers_are_sent(
        self, collector: Collector, make_sender: Callable[..., SenderUnderTest]
    ) -> None:
        """The token is sent as a bearer token."""
        make_sender(token="secret", headers={"X-Tenant": "a"}).send(1)

        assert collector.requests[0].headers["Authorization"] == "Bearer secret"
        assert collector.requests[0].headers["X-Tenant"] == "a"

    @pytest.mark.parametrize("path", ["", "/", "/logs", "/base", "/base/logs"])
    def test_records_go_to_logs(self, collector: Collector, path: str) -> None:
        """The URL may be that of the server or that of its logs."""
        SenderUnderTest(collector.url + path).send(1)

        assert collector.requests[0].path == ("/base/logs" if "base" in path else "/logs")

    def test_http_goes_through_the_proxy(
        self, collector: Collector, monkeypatch: pytest.MonkeyPatch, proxy: Proxy
    ) -> None:
        """The client uses the proxy of the environment."""
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@127.0.0.1:{proxy.port}")
        SenderUnderTest(collector.url).send(5)

        assert collector.messages == numbered(5)
        assert proxy.requested == [f"POST {collector.url}/logs"]
        assert proxy.authorizations == ["Basic dXNlcjpwQHNz"]

    def test_no_proxy_is_respected(self, collector: Collector, monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> None:
        """Hosts in ``no_proxy`` are reached directly."""
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
        SenderUnderTest(collector.url).send(5)

        assert collector.messages == numbered(5)
        assert proxy.requested == []


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Return a running proxy."""
    server = Proxy()
    yield server
    server.stop()


class TestEncryption:
    """TLS, with a private authority and a client certificate."""

    @pytest.fixture
    def authority(self, require: Callable[[str], None]) -> Any:
        """Return a certificate authority that the machine does not trust."""
        require("trustme")
        import trustme

        return trustme.CA()

    @pytest.fixture
    def secure(self, authority: Any) -> Iterator[Collector]:
        """Return a collector that requires a client certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        server = Collector().start(context=context)
        yield server
        server.stop()

    @pytest.fixture
    def files(self, authority: Any, tmp_path: Path) -> dict[str, Any]:
        """Return the arguments with the certificates."""
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        issued = authority.issue_cert("client")
        issued.private_key_pem.write_to_path(tmp_path / "key.pem")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        certificate = [tmp_path / "cert.pem", tmp_path / "key.pem"]
        return {"ca_file": tmp_path / "ca.pem", "client_certificate": certificate}

    def test_private_authority_and_client_certificate(self, secure: Collector, files: dict[str, Any]) -> None:
        """The token is sent as a bearer token."""
        tested = SenderUnderTest(secure.url, **files)

        assert tested.send(200), tested.sender.last_error
        assert secure.messages == numbered(200)

    def test_unknown_authority_is_not_trusted(self, secure: Collector, files: dict[str, Any]) -> None:
        """The client sends no record."""
        tested = SenderUnderTest(secure.url, most=3)

        assert not tested.send(1)
        assert "certificate" in tested.sender.last_error.lower()
        assert secure.requests == []

    def test_client_without_a_certificate_is_refused(self, secure: Collector, files: dict[str, Any]) -> None:
        """The server receives no request."""
        tested = SenderUnderTest(secure.url, most=3, ca_file=files["ca_file"])

        assert not tested.send(1)
        assert secure.requests == []

    def test_https_goes_through_the_proxy(
        self, secure: Collector, files: dict[str, Any], monkeypatch: pytest.MonkeyPatch, proxy: Proxy
    ) -> None:
        """A tunnel: the proxy sees neither the records nor the token."""
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        SenderUnderTest(secure.url, **files).send(5)

        assert secure.messages == numbered(5)
        assert proxy.requested == [f"CONNECT {secure.url.removeprefix('https://')}"]


def test_records_of_urllib3_are_not_sent(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """With the handler on the root logger, the debug records of a request would cause the next request."""
    from concurrent_log.collector import CollectorHandler

    handler = CollectorHandler(collector.url, flush_interval=0.01)
    caplog.set_level(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    try:
        for number in range(5):
            logging.getLogger("app").info("record %d", number)
            assert handler.flush(DEADLINE)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()

    assert any(record.name.startswith("urllib3") for record in caplog.records)
    assert collector.messages == [f"record {number}" for number in range(5)]


def test_old_connection_is_replaced(collector: Collector) -> None:
    """After five minutes, the next request has a connection of its own, so that a new server gets its share."""
    now = [0.0]
    connection = CollectorConnection(ClientSettings(url=collector.url), lambda: now[0])
    for now[0] in (0.0, 299.0, 300.0, 599.0):
        assert connection.post(b'{"batch_id": "a", "logs": []}', DEADLINE, is_compressed=False).status == 200
    connection.close()
    first, second, third, fourth = (request.peer for request in collector.requests)

    assert first == second != third == fourth
