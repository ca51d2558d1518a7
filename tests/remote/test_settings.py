"""Settings of clients, from the environment."""

from __future__ import annotations

import pytest

from seamless.remote.settings import Timeouts, database_max_inflight, is_on, seconds


@pytest.mark.parametrize("text", ["", " ", "none", "OFF", "false", "0", "-3", "inf"])
def test_a_timeout_can_be_turned_off(text: str) -> None:
    assert seconds(text, 10.0) is None


@pytest.mark.parametrize("text", [None, "soon", "1,5", "nan"])
def test_what_is_no_number_of_seconds_means_the_default(text: str | None) -> None:
    assert seconds(text, 10.0) == 10.0


def test_the_timeouts_have_the_documented_defaults() -> None:
    limits = Timeouts.from_environment({})
    assert (limits.connect, limits.read, limits.total, limits.healthcheck) == (10.0, 1200.0, None, 10.0)


def test_every_timeout_is_read_from_its_variable() -> None:
    names = ("CONNECT", "READ", "TOTAL", "HEALTHCHECK")
    limits = Timeouts.from_environment({f"SEAMLESS_REMOTE_{name}_TIMEOUT": str(i) for i, name in enumerate(names, 1)})
    assert (limits.connect, limits.read, limits.total, limits.healthcheck) == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(("text", "limit"), [(None, 30), ("5", 5), ("0", 0), ("-1", 0), ("many", 30)])
def test_the_requests_under_way_at_a_database_are_limited(
    monkeypatch: pytest.MonkeyPatch, text: str | None, limit: int
) -> None:
    if text is not None:
        monkeypatch.setenv("SEAMLESS_DATABASE_MAX_INFLIGHT", text)
    assert database_max_inflight() == limit


@pytest.mark.parametrize(("text", "on"), [("1", True), ("TRUE", True), (" yes ", True), ("0", False), ("", False)])
def test_a_switch_is_on_for_1_true_and_yes(monkeypatch: pytest.MonkeyPatch, text: str, on: bool) -> None:
    monkeypatch.setenv("SEAMLESS_CLIENT_DEBUG", text)
    assert is_on("SEAMLESS_CLIENT_DEBUG") is on
