"""From the arguments of a helper that starts a service to a checked configuration.

The words of the service are taken as they are: nothing in them is a template.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from typing import Any

from seamless.launcher.commands import reduced_environment
from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import ConfigurationRefused
from seamless.launcher.helpers.frame import Call
from seamless.launcher.services import known_services
from seamless.launcher.standard_input import read_parameters
from seamless.launcher.starting import Terms


class GivenService(Configuration):
    """A launch dict whose command is a list of words."""

    words: tuple[str, ...] = ()

    def argv(self, status_file: str) -> list[str]:
        """Return the words."""
        return list(self.words)


def configuration(call: Call) -> Configuration:
    """Return what is to be started. Raises ConfigurationRefused, which names the argument."""
    options, binary = call.options, call.service[0]
    if (call.guarded or options.get("whitelist")) and binary not in known_services():
        raise ConfigurationRefused(f"service binary is not whitelisted: {binary!r}")
    mapping: dict[str, Any] = {
        "key": options["key"],
        "workdir": options["workdir"],
        "command": shlex.join(call.service),
        "conda": options.get("conda-env"),
        "file_parameters": _parameters(options),
        "meta": json_object(options, "meta"),
        "image": json_object(options, "image"),
        "handshake": json_value(options, "handshake"),
    }
    for name, field in (("network-interface", "network_interface"), ("start-timeout", "start_timeout")):
        if name in options:
            mapping[field] = options[name]
    return GivenService.from_mapping(mapping).replaced(words=call.service)


def _parameters(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the object of --parameters, or that of standard input."""
    return read_parameters() if "parameters-stdin" in options else json_object(options, "parameters")


def terms(call: Call) -> Terms:
    """Return what the start is subject to: a small environment, and what the guard has said."""
    inherited, guarded = reduced_environment(os.environ), call.guarded
    if guarded is None:
        return Terms(inherited)
    return Terms(inherited, guarded.paths[0] if guarded.paths else None, guarded.max_services)


def json_value(options: Mapping[str, Any], name: str) -> Any:
    """Return the value of an option that is JSON, or None without the option."""
    if name not in options:
        return None
    try:
        return json.loads(options[name])
    except (ValueError, RecursionError) as exc:
        raise ConfigurationRefused(f"--{name} must be valid JSON: {exc}") from exc


def json_object(options: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the value of an option that is a JSON object, or None without the option."""
    value = json_value(options, name)
    if name in options and not isinstance(value, dict):
        raise ConfigurationRefused(f"--{name} must be a JSON object")
    return value  # type: ignore[no-any-return]
