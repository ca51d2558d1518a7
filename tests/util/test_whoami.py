"""Who this is, in a form that a header can hold."""

from __future__ import annotations

import os

import pytest

from seamless.util.whoami import user_at_host


def test_it_is_the_login_name_and_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    assert user_at_host() == f"anna@{os.uname().nodename}"


def test_without_a_login_name_the_uid_stands_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOGNAME", raising=False)
    monkeypatch.delenv("USER", raising=False)
    assert user_at_host().startswith(f"uid{os.getuid()}@")


def test_what_a_header_cannot_hold_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "an\u00f6 (x)\r\n")
    assert user_at_host().startswith("an???x???@")
