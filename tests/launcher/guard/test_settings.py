"""The flags of the guard: any mistake in them, or in the file that they name, allows nothing at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.launcher.guard.conftest import Ask, Places

PREFIX = "rhl-guard: configuration error: "


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--bogus",), "unknown rhl-guard option: --bogus"),
        (("word",), "unknown rhl-guard option: word"),
        (("--read",), "unknown rhl-guard option: --read"),
        (("--permissive-paths=1",), "unknown rhl-guard option: --permissive-paths=1"),
        (("--data-roots",), "--data-roots requires a path"),
        (("--data-roots=",), "--data-roots requires a path"),
        (("--data-roots", "--read-only"), "--data-roots requires a path"),
        (("--clear-policy",), "--clear-policy requires a value"),
        (
            ("--data-roots", "a", "--permissive-paths"),
            "--data-roots, --clear-policy, and --permissive-paths are mutually exclusive",
        ),
        (
            ("--clear-policy", "seamless", "--permissive-paths"),
            "--data-roots, --clear-policy, and --permissive-paths are mutually exclusive",
        ),
        (("--clear-policy", "seamless", "--clear-policy=seamless"), "--clear-policy is given more than once"),
        (("--permissive-paths", "--permissive-paths"), "--permissive-paths is given more than once"),
        (("--clear-policy", "x"), "--clear-policy must be 'seamless' or 'marker:NAME'"),
        (("--clear-policy", "marker:"), "--clear-policy marker:NAME requires a simple marker filename"),
        (("--clear-policy", "marker:a/b"), "--clear-policy marker:NAME requires a simple marker filename"),
        (("--clear-policy", "marker:.."), "--clear-policy marker:NAME requires a simple marker filename"),
        (("--permissive-paths", "--without-tunnels"), "--without-tunnels says what --print-authorized-key prints"),
        (("--max-services", "0"), "--max-services requires a number greater than 0, found '0'"),
        (("--max-services", "x"), "--max-services requires a number greater than 0, found 'x'"),
        (("--bind-address", "10.0.0"), "--bind-address requires one address in numbers, for example 10.0.0.5; found"),
        (("--bind-address", "0.0.0.0"), "--bind-address requires one address in numbers, for example 10.0.0.5; found"),
        (("--bind-address", "::"), "--bind-address requires one address in numbers, for example 10.0.0.5; found"),
        (
            ("--bind-address", "10.0.0.5", "--bind-loopback"),
            "--bind-loopback and --bind-address are mutually exclusive",
        ),
        (("--data-roots", "/nonexistent/file"), "could not read --data-roots file '/nonexistent/file': "),
        (("--data-roots", "/etc"), "could not read --data-roots file '/etc': "),
        (("--services", "hashserver,x"), "--services: unknown name 'x'; known are hashserver"),
        (("--allow-helpers", "rhl-guard"), "--allow-helpers: unknown name 'rhl-guard'; known are rhl-ps"),
    ],
)
def test_a_mistake_in_the_flags_refuses_every_command(ask: Ask, flags: tuple[str, ...], text: str) -> None:
    answer = ask("rhl-ps", *flags)
    assert (answer.status, answer.argv) == (1, None)
    assert answer.error.startswith(PREFIX + text)


@pytest.mark.parametrize("joined", [False, True])
def test_a_flag_and_its_value_are_one_word_or_two(ask: Ask, joined: bool, places: Places) -> None:
    flags = (f"--data-roots={places.file}",) if joined else places.flags
    assert ask("rhl-ps", *flags).argv == ["rhl-ps"]


def problem(ask: Ask, places: Places) -> str:
    answer = ask("rhl-ps", *places.flags)
    assert answer.argv is None
    return answer.error


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_policy_file_that_others_can_write_refuses_every_command(ask: Ask, mode: int, places: Places) -> None:
    places.file.chmod(mode)
    assert "can be written by others" in problem(ask, places)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_policy_file_of_another_account_refuses_every_command(ask: Ask, places: Places) -> None:
    os.chown(places.file, 12345, 12345)
    assert "must belong to this account or to root" in problem(ask, places)


def test_a_policy_file_that_is_a_link_or_a_pipe_refuses_every_command(ask: Ask, places: Places, tmp_path: Path) -> None:
    places.file.rename(tmp_path / "real")
    places.file.symlink_to(tmp_path / "real")
    assert "could not read" in problem(ask, places)
    places.file.unlink()
    os.mkfifo(places.file, 0o600)
    assert "it is no regular file" in problem(ask, places)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "--data-roots file does not contain any usable roots"),
        (b"# only\n\n   \n", "--data-roots file does not contain any usable roots"),
        (b"/srv\nrelative\n", "--data-roots entry on line 2 is not absolute after ~ expansion: 'relative'"),
        (b"~other/data\n", "--data-roots entry on line 1 is not absolute after ~ expansion: '~other/data'"),
        (b"\xff\n", "could not read --data-roots file"),
        (b"#" * (2 << 20), "could not read --data-roots file"),
    ],
)
def test_a_policy_file_without_sense_refuses_every_command(ask: Ask, content: bytes, text: str, places: Places) -> None:
    places.file.write_bytes(content)
    assert problem(ask, places).startswith(PREFIX + text)


def test_roots_may_be_in_the_home_and_be_links(ask: Ask, places: Places, isolation: Path) -> None:
    (isolation / "buffers").symlink_to(places.outside)
    places.file.write_text("~/buffers\n")
    assert ask(f"rhl-clear {places.outside}/x", *places.flags).argv == ["rhl-clear", f"{places.outside}/x"]
    assert ask("rhl-clear ~/buffers/x", *places.flags).argv == ["rhl-clear", f"{places.outside}/x"]
