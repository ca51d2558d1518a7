"""The launch dict: what is accepted, and how a refusal names the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seamless.launcher import Configuration, HandshakeConfig, LauncherError

MINIMAL = {"workdir": "/data", "key": "k", "command": "serve --status-file {status_file}"}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"workdir": None}, "workdir must be provided and be a string."),
        ({"workdir": "relative"}, "workdir must be a plausible UNIX directory name."),
        ({"workdir": "/a\nb"}, "workdir must be a plausible UNIX directory name."),
        ({"key": 3}, "key must be provided and be a string."),
        ({"key": "a/b"}, "The key must be a plausible UNIX file name."),
        ({"key": ".."}, "The key must be a plausible UNIX file name."),
        ({"key": "-x"}, "The key must be a plausible UNIX file name."),
        ({"key": "k" * 201}, "The key must be a plausible UNIX file name."),
        ({"command": None}, "command must be provided and be a string."),
        ({"hostname": 3}, "hostname must be a string when provided."),
        ({"hostname": "user@host"}, "hostname must be an HTTP hostname or IP address."),
        ({"ssh_hostname": 3}, "ssh_hostname must be a string when provided."),
        ({"ssh_hostname": "-oProxyCommand=x"}, "ssh_hostname must be a valid SSH hostname or IP address."),
        ({"network_interface": None}, "network_interface must be a string."),
        ({"network_interface": "a b"}, "network_interface must be a valid HTTP hostname or IP address."),
        ({"tunnel": None}, "tunnel must be a boolean when provided."),
        ({"tunnel": True}, "SSH tunneling requires hostname and ssh_hostname to be configured."),
        ({"handshake": 3}, "handshake must be a string path or a mapping with path and parameters."),
        ({"handshake": {"path": 3}}, "handshake.path must be a string."),
        ({"handshake": {"parameters": 3}}, "handshake.parameters must be a mapping."),
        ({"handshake": {"parameters": {"a": []}}}, "handshake parameters must map strings to simple values."),
        ({"handshake": {"port_name": 3}}, "handshake.port_name must be a string."),
        ({"conda": 3}, "The conda field, when present, must be a string."),
        ({"file_parameters": 3}, "file_parameters must be a mapping when provided."),
        ({"file_parameters": {"a": object()}}, "file_parameters must contain JSON-serializable values."),
        ({"meta": 3}, "meta must be a mapping when provided."),
        ({"meta": {"a": {1}}}, "meta must contain JSON-serializable values."),
        ({"log_level": "loud"}, "log_level must be one of: minimal, basic, debug."),
        ({"start_timeout": 0}, "start_timeout must be a number of seconds greater than 0."),
        ({"conda": "a", "image": {}}, "conda and image exclude each other."),
    ],
)
def test_a_mistake_is_named(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(LauncherError) as caught:
        Configuration.from_mapping({**MINIMAL, **fields})
    assert str(caught.value).startswith(text)


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(LauncherError, match="Configuration mapping must be a dictionary."):
        Configuration.from_mapping([])


@pytest.mark.parametrize(
    "fields",
    [
        {"workdir": "/a b/+=:,é"},
        {"workdir": "~/data"},
        {"hostname": "login.hpc.example.", "ssh_hostname": "user@my_alias"},
        {"hostname": "::1"},
        {"key": "{workdir.strip('/').replace('/', '--')}"},
        {"anything": object()},
    ],
)
def test_what_is_plausible_is_accepted(fields: dict[str, Any]) -> None:
    Configuration.from_mapping({**MINIMAL, **fields})


@pytest.mark.parametrize(
    ("handshake", "expected"),
    [
        ("healthcheck", HandshakeConfig("healthcheck")),
        ({"path": "h", "parameters": {"a": 1}, "port_name": "p"}, HandshakeConfig("h", {"a": "1"}, "p")),
        (None, None),
    ],
)
def test_a_handshake_has_three_forms(handshake: object, expected: object) -> None:
    assert Configuration.from_mapping({**MINIMAL, "handshake": handshake}).handshake == expected


def test_the_key_is_evaluated_before_the_command() -> None:
    config = Configuration.from_mapping(
        {**MINIMAL, "key": "serve-{workers}", "workers": 3, "command": "run {key} {workers}"}
    )
    assert config.key == "serve-3"
    assert config.argv("/state") == ["run", "serve-3", "3"]


def test_a_command_is_split_and_seen_by_no_shell() -> None:
    config = Configuration.from_mapping({**MINIMAL, "command": "serve 'a b' $HOME | x; y {status_file}"})
    assert config.argv("/s") == ["serve", "a b", "$HOME", "|", "x;", "y", "/s"]


@pytest.mark.parametrize("path", ["/a b/k.json", "/it's/{k}.json", "/a$b/k.json"])
def test_an_odd_path_of_the_state_is_one_word(path: str) -> None:
    config = Configuration.from_mapping({**MINIMAL, "command": "serve {status_file} --x={status_file} {{y}}"})
    assert config.argv(path) == ["serve", path, f"--x={path}", "{y}"]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("  ", "The command must be a plausible bash command."),
        ("a\nb", "The command must be a plausible bash command."),
        ("a 'b", "Failed to split evaluated command: "),
        ("''", "The command must include a service binary."),
        ("{nope}", "Failed to evaluate template '{nope}': "),
    ],
)
def test_a_command_that_is_none_is_refused(command: str, text: str) -> None:
    config = Configuration.from_mapping({**MINIMAL, "command": command})
    with pytest.raises(LauncherError) as caught:
        config.argv("/s")
    assert str(caught.value).startswith(text)


def test_insecure_reaches_the_service_once() -> None:
    config = Configuration.from_mapping({**MINIMAL, "insecure": True})
    assert config.argv("/s")[-1] == "--insecure"
    config = Configuration.from_mapping({**MINIMAL, "insecure": True, "command": "serve --insecure"})
    assert config.argv("/s") == ["serve", "--insecure"]


@pytest.mark.parametrize(
    ("fields", "local"),
    [
        ({}, True),
        ({"hostname": "localhost"}, True),
        ({"hostname": "127.0.1.1"}, True),
        ({"hostname": "localhost", "ssh_hostname": "hpc"}, False),
        ({"hostname": "hpc"}, False),
        ({"ssh_hostname": "hpc"}, True),
    ],
)
def test_only_a_loopback_host_or_none_is_this_machine(fields: dict[str, Any], local: bool) -> None:
    assert Configuration.from_mapping({**MINIMAL, **fields}).is_local is local


@pytest.mark.parametrize(
    ("text", "where"), [("a: [", ":1: "), ("- a\n", ": Configuration mapping"), ("key: k\n", ": workdir must")]
)
def test_a_mistake_in_a_file_is_reported_with_the_file(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "service.yaml"
    path.write_text(text)
    with pytest.raises(LauncherError) as caught:
        Configuration.from_yaml(path)
    assert str(caught.value).startswith(f"{path}{where}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match="nothere.yaml: No such file"):
        Configuration.from_yaml(tmp_path / "nothere.yaml")
