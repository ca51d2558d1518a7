"""What the helpers of another machine are told about a launch dict, and how their answers are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seamless.launcher.configuration import Configuration
from seamless.launcher.handshake import HandshakeConfig
from seamless.launcher.paths import DEFAULT_BASE


def remote_state_path(key: str) -> str:
    """Return the state file of a service on its own machine, whatever directory this one uses."""
    return f"{DEFAULT_BASE}/server/{key}.json"


def ensure_words(config: Configuration, on_mismatch: str) -> list[str]:
    """Return the words of `rhl-ensure`, which reads `ensure_data` if that is not None. Raises ConfigurationRefused."""
    options = _common(config)
    parameters = ["--parameters-stdin"] if options.pop("--parameters") is not None else []
    options |= {
        "--image": _json(config.image),
        "--handshake": _json(_handshake_value(config.handshake)),
        "--start-timeout": f"{config.start_timeout:g}",
        "--on-mismatch": on_mismatch,
    }
    return ["rhl-ensure", *_given(options), *parameters, "--", *_service(config)]


def ensure_data(config: Configuration) -> bytes | None:
    """Return the parameters of the service. They can be secret, and every user of a machine sees command lines."""
    parameters = _json(config.file_parameters)
    return None if parameters is None else parameters.encode()


def launch_words(config: Configuration) -> list[str]:
    """Return the words of `rhl-launch-service`, as an older launcher knows it. Raises ConfigurationRefused."""
    return ["rhl-launch-service", *_given(_common(config)), "--", *_service(config)]


def _common(config: Configuration) -> dict[str, str | None]:
    return {
        "--key": config.key,
        "--workdir": config.workdir,
        "--conda-env": config.conda,
        "--network-interface": config.network_interface,
        "--parameters": _json(config.file_parameters),
        "--meta": _json(config.meta),
    }


def _given(options: Mapping[str, str | None]) -> list[str]:
    return [word for name, value in options.items() if value is not None for word in (name, value)]


def _service(config: Configuration) -> list[str]:
    return config.argv(remote_state_path(config.key))


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"))


def _handshake_value(handshake: HandshakeConfig | None) -> dict[str, Any] | None:
    if handshake is None:
        return None
    value: dict[str, Any] = {"path": handshake.path}
    if handshake.parameters:
        value["parameters"] = dict(handshake.parameters)
    if handshake.port_name:
        value["port_name"] = handshake.port_name
    return value


def json_object(line: str) -> dict[str, Any] | None:
    """Return the object that a line of an answer holds, or None."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def differences(config: Configuration, state: Mapping[str, Any]) -> list[str]:
    """Return how a service that runs on another machine differs from what `config` would start, one line each."""
    meta = state.get("meta")
    running = meta.get("fingerprint") if isinstance(meta, dict) else None
    wanted = (config.meta or {}).get("fingerprint")
    if wanted and wanted == running:
        return []
    lines = []
    workdir, command = state.get("workdir"), state.get("command")
    if isinstance(workdir, str) and not _same_word(config.workdir, workdir):
        lines.append(f"workdir: {workdir!r} runs, {config.workdir!r} is configured")
    if isinstance(command, str) and not _same_command(_service(config), command):
        import shlex

        lines.append(f"command: {command!r} runs, {shlex.join(_service(config))!r} is configured")
    return lines or (["other settings (the fingerprint differs)"] if wanted and running else [])


def _same_word(configured: str, recorded: str) -> bool:
    """Tell whether a recorded word can be the configured one; the home directory there is not known here."""
    if configured == "~" or configured.startswith("~/"):
        return recorded == configured or (recorded.startswith("/") and recorded.endswith(configured[1:]))
    return recorded == configured


def _same_command(configured: list[str], recorded: str) -> bool:
    import shlex

    try:
        words = shlex.split(recorded)
    except ValueError:
        return False
    if len(words) != len(configured):
        return False
    pairs = zip(configured, words, strict=True)
    # The state file is where the launcher of that machine keeps it.
    return all(_same_word(one, other) or one.endswith(f"/server/{other.rpartition('/')[2]}") for one, other in pairs)
