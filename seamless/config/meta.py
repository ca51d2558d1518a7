"""The `meta` block of a launch dict: for what a service is, who wanted it, and the fingerprint of how it is started."""

from __future__ import annotations

import functools
import os
import time

from seamless.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# What does not make another service of it: where its logs are, and by which way it is reached.
_NOT_IN_FINGERPRINT = ("log_level", "log_file", "debug_log_file", "meta", "hostname", "ssh_hostname", "tunnel")
_FORWARDED = ("database", "buffer")


def meta(launch: Mapping[str, Any], described: Mapping[str, Any], workdir: str) -> dict[str, Any]:
    """Return the `meta` block: `described`, then who wants it. The same dict for the same service in a process."""
    image = launch.get("image")
    block = {
        **described,
        "user": _user(),
        "client_host": os.uname().nodename,
        "workdir": workdir,
        "seamless_version": __version__,
        "created": _created(),
        "fingerprint": fingerprint(launch),
    }
    if image is not None:
        block["image"] = {"path": image.get("path"), "sha256": image.get("sha256")}
    return block


def fingerprint(launch: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that differ if a service would be started otherwise."""
    import hashlib
    import json

    relevant = {name: value for name, value in launch.items() if name not in _NOT_IN_FINGERPRINT}
    if "file_parameters" in relevant:
        relevant["file_parameters"] = {
            name: value for name, value in relevant["file_parameters"].items() if name not in _FORWARDED
        }
    text = json.dumps(relevant, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@functools.cache
def _created() -> str:
    """Return the time, the same one throughout a process: launch dicts are compared."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container that knows its user by number only
        return str(os.getuid())
