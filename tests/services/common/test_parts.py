"""The parts of a server one by one, without a process."""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from seamless.errors import UsageError
from seamless.services.common import IdleClock, add_server_options, size
from seamless.services.common.asgi import BodyTooLargeError, ClientGoneError, read_body
from seamless.services.common.metrics import Metrics
from seamless.services.common.options import check_options
from seamless.services.common.ports import PortError, is_loopback, listen
from seamless.services.common.status import StatusFile, StatusFileError
from seamless.services.common.token import Guard, InsecureError, choose_token


def parsed(*words: str) -> Namespace:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    return parser.parse_args(words)


class Clock:
    """A time that is set by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


# --- idle clock -----------------------------------------------------------------------------------


def test_the_idle_time_counts_from_the_end_of_the_last_request() -> None:
    now = Clock()
    clock = IdleClock(10, now=now)
    clock.begin()
    now.time = 100
    assert clock.idle() == 0 and not clock.expired()
    clock.end()
    now.time = 109
    assert clock.idle() == 9 and not clock.expired()
    now.time = 111
    assert clock.expired()


def test_of_two_requests_the_longer_one_counts() -> None:
    now = Clock()
    clock = IdleClock(10, now=now)
    clock.begin()
    clock.begin()
    clock.end()
    now.time = 1000
    assert not clock.expired()


def test_without_a_timeout_a_server_never_expires() -> None:
    now = Clock()
    clock = IdleClock(None, now=now)
    now.time = 1e9
    assert not clock.expired()


# --- options, ports -------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("64k", 65536), ("1 GB", 10**9), ("2GiB", 2 << 30)])
def test_a_size_may_have_a_unit(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5x", "1 parsec"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a size"):
        size(text)


def test_an_inverted_range_is_named() -> None:
    with pytest.raises(UsageError, match="--port-range 9 8"):
        check_options(parsed("--port-range", "9", "8"))


def test_two_servers_never_get_the_same_port() -> None:
    with listen("127.0.0.1", 0, None) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortError, match=f"port {port}"):
            listen("127.0.0.1", port, None)
        with pytest.raises(PortError, match=f"No free port available in range {port}-{port}"):
            listen("127.0.0.1", None, [port, port])


def test_only_loopback_addresses_are_loopback() -> None:
    with listen("localhost", None, None) as local, listen("0.0.0.0", None, None) as everywhere:
        assert is_loopback(local)
        assert not is_loopback(everywhere)


def test_a_host_without_an_address_is_named() -> None:
    with pytest.raises(PortError, match="no.such.host.invalid"):
        listen("no.such.host.invalid", None, None)


# --- status file ----------------------------------------------------------------------------------


def test_a_status_file_that_never_comes_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "status.json")
    with pytest.raises(StatusFileError) as caught:
        StatusFile(path, wait=0).read()
    assert str(caught.value) == f"Status file '{path}' not found after 0 seconds"


def test_a_status_file_that_stays_broken_is_named(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text('{"pid"')
    with pytest.raises(StatusFileError, match="does not hold JSON"):
        StatusFile(str(path), wait=0).read()


def test_a_status_file_removed_during_the_start_means_nobody_waits(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text("{}")
    status = StatusFile(str(path))
    status.read()
    path.unlink()
    with pytest.raises(StatusFileError, match="removed while the server started"):
        status.running(port=1)
    assert not path.exists()


def test_what_the_launcher_adds_during_the_start_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text("{}")
    status = StatusFile(str(path))
    status.read()
    path.write_text('{"pid": 7}')
    status.running(port=1)
    assert json.loads(path.read_text()) == {"pid": 7, "port": 1, "status": "running"}


def test_a_link_in_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "status.json", tmp_path / "victim"
    path.write_text("{}")
    victim.write_text("precious")
    (tmp_path / "status.json.tmp").symlink_to(victim)
    status = StatusFile(str(path))
    status.read()
    status.running(port=1)
    assert victim.read_text() == "precious"


# --- token ----------------------------------------------------------------------------------------


def scope_with(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"headers": list(headers)}


@pytest.mark.parametrize(
    ("value", "admitted"),
    [
        (b"Bearer secret", True),
        (b"bearer secret", True),
        (b"Bearer  secret", True),
        (b"Bearer secreT", False),
        (b"Bearer secret2", False),
        (b"Bearer", False),
        (b"Basic secret", False),
        (b"secret", False),
        (b"Bearer \xff", False),
        (b"", False),
    ],
)
def test_only_the_token_is_admitted(value: bytes, admitted: bool) -> None:
    assert Guard("secret").admits(scope_with((b"authorization", value))) is admitted


def test_a_request_without_the_header_is_not_admitted() -> None:
    assert not Guard("secret").admits(scope_with())


def test_every_launch_has_a_token_of_its_own(tmp_path: Path) -> None:
    status = StatusFile(str(tmp_path / "x"))
    tokens = {choose_token(parsed(), status, loopback=True) for _ in range(2)}
    assert len(tokens) == 2 and None not in tokens


def test_a_launch_does_not_take_a_token_that_happens_to_be_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_TOKEN", "inherited")
    assert choose_token(parsed(), StatusFile(str(tmp_path / "x")), loopback=True) != "inherited"


@pytest.mark.parametrize("content", ["", "\n", "two words", "sn\u00f6w"])
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(UsageError, match="does not hold a token"):
        choose_token(parsed("--token-file", str(path)), None, loopback=True)


def test_a_token_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        choose_token(parsed("--token-file", str(tmp_path / "no" / "token")), None, loopback=True)


def test_an_open_server_without_a_token_is_refused() -> None:
    with pytest.raises(InsecureError, match="--insecure"):
        choose_token(parsed("--host", "0.0.0.0"), None, loopback=False)


# --- bodies, metrics ------------------------------------------------------------------------------


def messages(*sent: dict[str, Any]) -> Any:
    waiting = list(sent)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return receive


async def test_a_body_is_put_together() -> None:
    receive = messages(
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"c"},
    )
    assert await read_body(scope_with(), receive, 3) == b"abc"


async def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(BodyTooLargeError):
        await read_body(scope_with((b"content-length", b"4")), messages(), 3)


async def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_long() -> None:
    receive = messages({"type": "http.request", "body": b"abcd", "more_body": True})
    with pytest.raises(BodyTooLargeError):
        await read_body(scope_with(), receive, 3)


async def test_a_client_that_goes_is_noticed() -> None:
    receive = messages({"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"})
    with pytest.raises(ClientGoneError):
        await read_body(scope_with(), receive, 3)


def test_the_histogram_is_cumulated() -> None:
    metrics = Metrics()
    metrics.count("GET", 200, 0.002, 10)
    metrics.count("GET", 404, 500.0, 5)
    buckets = dict(metrics.buckets())
    assert (buckets["0.001"], buckets["0.003"], buckets["100.0"], buckets["+Inf"]) == (0, 1, 1, 2)
    assert (metrics.requests, metrics.sent) == (2, 15)
