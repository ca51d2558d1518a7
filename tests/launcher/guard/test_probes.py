"""Which addresses may be probed: those of recorded services, if they are addresses of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seamless.launcher.guard.probes import local_address
from tests.launcher.guard.conftest import Ask

Write = Callable[..., Path]
OPEN = "--permissive-paths"


@pytest.fixture(autouse=True)
def service(write_state: Write) -> None:
    write_state("K", status="running", network_interface="127.0.0.1", port=5577, dashboard_port=8787)


@pytest.mark.parametrize("port", [5577, 8787])
def test_the_ports_of_a_recorded_service_may_be_probed(ask: Ask, port: int) -> None:
    assert ask(f"rhl-verify-port 127.0.0.1 {port}", OPEN).argv == ["rhl-verify-port", "127.0.0.1", str(port)]
    url = f"http://127.0.0.1:{port}/healthcheck?a=b"
    assert ask(f"rhl-handshake '{url}'", OPEN).argv == ["rhl-handshake", url]


@pytest.mark.parametrize(
    "address", ["127.0.0.1 22", "127.0.0.1 5578", "192.0.2.1 5577", "169.254.169.254 80", "h 5577"]
)
def test_other_addresses_may_not_be_probed(ask: Ask, address: str) -> None:
    shown = address.replace(" ", ":")
    expected = f"only addresses of recorded services can be asked, not {shown}"
    assert ask(f"rhl-verify-port {address}", OPEN).reason == expected
    assert ask(f"rhl-handshake http://{shown}/", OPEN).reason == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:5577/",
        "http://user@127.0.0.1:5577/",
        "http://127.0.0.1:5577@192.0.2.1/",
        "http://192.0.2.1#@127.0.0.1:5577/",
        "http://192.0.2.1\\\\@127.0.0.1:5577/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:5577/",
        "http://127.0.0.1:5577/\u00e9",
    ],
)
def test_a_url_is_a_plain_one_of_a_recorded_address(ask: Ask, url: str) -> None:
    assert ask(f"rhl-handshake '{url}'", OPEN).argv is None


def test_a_recorded_address_of_another_machine_is_not_probed(ask: Ask, write_state: Write) -> None:
    write_state("other", status="running", network_interface="192.0.2.1", port=80)
    assert ask("rhl-verify-port 192.0.2.1 80", OPEN).argv is None


def test_loopback_names_are_one_where_the_service_is_bound_to_everything(ask: Ask, write_state: Write) -> None:
    write_state("wide", status="running", network_interface="0.0.0.0", port=6000)
    for host in ("0.0.0.0", "127.0.0.1", "localhost"):
        assert ask(f"rhl-verify-port {host} 6000", OPEN).argv == ["rhl-verify-port", host, "6000"]


def test_a_damaged_state_file_does_not_matter(ask: Ask, write_state: Write) -> None:
    write_state("damaged").write_text("{")
    assert ask("rhl-verify-port 127.0.0.1 5577", OPEN).argv is not None


def test_a_name_is_replaced_by_the_address_that_was_judged(
    ask: Ask, write_state: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seamless.launcher.guard import probes

    write_state("named", status="running", network_interface="front.example", port=6000)
    monkeypatch.setattr(probes, "local_address", {"front.example": "127.0.0.1"}.get)
    assert ask("rhl-verify-port front.example 6000", OPEN).argv == ["rhl-verify-port", "127.0.0.1", "6000"]
    url = "http://front.example:6000/x"
    assert ask(f"rhl-handshake {url}", OPEN).argv == ["rhl-handshake", "http://127.0.0.1:6000/x"]


def test_an_address_of_another_machine_is_not_local() -> None:
    assert local_address("127.0.0.5") == "127.0.0.5"
    assert local_address("192.0.2.1") is None
    assert local_address("x" * 300) is None
