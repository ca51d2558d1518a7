"""Addresses of services: what is a URL, and what goes with every request."""

from __future__ import annotations

import os

import pytest

from seamless.remote.address import Address
from seamless.remote.errors import RemoteUsageError, TransportError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://localhost:5577", ("http", "localhost", 5577, "")),
        ("http://Example.org", ("http", "example.org", 80, "")),
        ("https://example.org/seamless/db/", ("https", "example.org", 443, "/seamless/db")),
        ("http://[::1]:8000/", ("http", "::1", 8000, "")),
        ("HTTP://10.0.0.1:1", ("http", "10.0.0.1", 1, "")),
    ],
)
def test_a_url_is_taken_apart(url: str, parts: tuple[str, str, int, str]) -> None:
    address = Address(url)
    assert (address.scheme, address.host, address.port, address.prefix) == parts


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("localhost:5577", "does not begin with http"),
        ("ftp://host", "does not begin with http"),
        ("http://", "no host"),
        ("http://host:0", "port"),
        ("http://host:65536", "port"),
        ("http://host:port", "port"),
        ("http://user@host", "user name"),
        ("http://::1:80", "brackets"),
        ("http://[::1", "brackets"),
        ("http://host/?x=1", "query"),
        ("http://host/a b", "characters"),
        ("http://host\r\nX: y", "characters"),
        (5577, "string"),
    ],
)
def test_what_is_no_url_is_refused_with_the_reason(url: str, complaint: str) -> None:
    with pytest.raises(RemoteUsageError, match=complaint):
        Address(url)


def test_the_port_is_left_out_of_the_url_where_it_is_the_usual_one() -> None:
    assert (Address("http://host:80/x/").url, Address("https://host:80").url) == ("http://host/x", "https://host:80")


def test_the_token_goes_with_every_request() -> None:
    assert "Authorization: Bearer s3cret\r\n" in Address("http://host", "s3cret").head


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "t\u00f6ken"])
def test_a_token_cannot_add_headers(token: str) -> None:
    with pytest.raises(RemoteUsageError, match="token"):
        Address("http://host", token)


def test_the_representation_does_not_show_the_token() -> None:
    assert "s3cret" not in repr(Address("http://host", "s3cret"))


@pytest.mark.parametrize(
    ("url", "local"),
    [("http://localhost:1", True), ("http://127.1.2.3:1", True), ("http://[::1]:1", True), ("http://node7:1", False)],
)
def test_a_service_on_this_machine_is_recognised(url: str, local: bool) -> None:
    assert Address(url).is_local is local


def test_only_the_answer_of_another_launch_is_refused() -> None:
    mine, header = Address("http://host", "token", "mine"), "x-seamless-launch-id"
    for address, headers in [(mine, {}), (mine, {header: "mine"}), (Address("http://host"), {header: "other"})]:
        address.check(headers)
    with pytest.raises(TransportError, match="another service than the one that was launched"):
        mine.check({header: "other"})


def test_addresses_differ_by_launch() -> None:
    assert Address("http://host", None, "a") != Address("http://host", None, "b") != Address("http://host", None, "a ")
    assert Address("http://host", "t", "a") == Address("http://host", "t", "a")


def test_requests_say_who_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    assert f"(anna@{os.uname().nodename})\r\n" in Address("http://host").head
    monkeypatch.setenv("LOGNAME", "an (n)a\r\nX: y\u00f6")
    assert "(an??n?a??X:?y?@" in Address("http://host").head
