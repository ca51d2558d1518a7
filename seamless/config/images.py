"""Container images of services and queues: their declarations, and the merge of defaults, named image and use.

Names no runtime on this machine and opens no image: that is done where the image is, when a service is started.
"""

from __future__ import annotations

import re

from seamless.config import names
from seamless.config.containers import Either, Field, Fields, ListOf, MapOf
from seamless.config.declarations import Bool, OneOf, Str

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from seamless.config.declarations import Report
    from seamless.config.nodes import Node

_FLAGS = ("--nv", "--rocm", "--contain", "--writable-tmpfs", "--userns", "--no-privs", "--network=none")
_WITH_VALUE = ("--no-mount", "--memory", "--cpus")
_SYSTEM = ("/proc", "/sys", "/dev", "/etc")  # a bind over these, or below, changes what the container is


def _path_complaint(text: str) -> str | None:
    if not text.startswith(("/", "~/")):
        return f"expected an absolute path or one that begins with '~/', found {text!r}"
    if re.search(r"[,:\n]", text) or ".." in text.split("/"):
        return f"a path of an image must not contain ',', ':' or '..', found {text!r}"
    return None


def _bind_complaint(text: str) -> str | None:
    parts = text.split(":")
    if len(parts) > 3 or (len(parts) == 3 and parts[2] not in ("ro", "rw")):
        return f"expected SOURCE[:DESTINATION[:ro|rw]], found {text!r}"
    for part in parts[:2]:
        problem = _path_complaint(part)
        if problem is not None:
            return problem
    destination = parts[1] if len(parts) > 1 else parts[0]
    if not destination.startswith(("/", "~/") if len(parts) == 1 else "/"):
        return f"the destination of a bind must be absolute, found {text!r}"
    clean = "/" + destination.strip("/")
    if clean == "/" or any(clean == system or clean.startswith(system + "/") for system in _SYSTEM):
        return f"nothing can be bound to {clean} in a container (found {text!r})"
    return None


def _option_complaint(text: str) -> str | None:
    option, equals, value = text.partition("=")
    if text in _FLAGS or (option in _WITH_VALUE and equals and re.fullmatch(r"[A-Za-z0-9.,_-]+", value)):
        return None
    allowed = [*_FLAGS, *(f"{option}=VALUE" for option in _WITH_VALUE)]
    return f"{text!r} is not among the permitted options: {', '.join(allowed)}"


def _variable_complaint(text: str) -> str | None:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        return None
    return f"{text!r} is not the name of an environment variable"


def _digest_complaint(text: str) -> str | None:
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return None
    return f"expected a SHA-256 of 64 lower-case hexadecimal digits, found {text!r}"


_PATH = Str("a path", _path_complaint)
_SETTINGS = {
    "binds": Field(
        ListOf(Str("a string 'SOURCE[:DESTINATION[:ro|rw]]'", _bind_complaint)), "directories of the host to bind"
    ),
    "env": Field(MapOf(Str(), key=_variable_complaint), "environment variables in the container"),
    "options": Field(ListOf(Str("an option", _option_complaint)), "further options of the runtime"),
    "nv": Field(Bool(), "give access to NVIDIA GPUs"),
    "rocm": Field(Bool(), "give access to AMD GPUs"),
    "runtime": Field(OneOf("auto", "apptainer", "singularity"), "the container runtime; auto: the first on PATH"),
}
_FILE = {
    "path": Field(_PATH, "the image file (.sif) on the host that runs it"),
    "sha256": Field(Str("a SHA-256", _digest_complaint, pattern="^[0-9a-f]{64}$"), "what the file must hash to"),
    "allow_sandbox": Field(Bool(), "permit a sandbox directory instead of a .sif file"),
    "verify": Field(OneOf("launch", "job"), "job: check the digest in each batch job, too"),
}

IMAGE_DEFAULTS = Fields(_SETTINGS)
IMAGES = MapOf(
    Either("a path or a mapping", {"scalar": _PATH, "mapping": Fields({**_FILE, **_SETTINGS})}),
    key=lambda text: names.plain_complaint("image", text),
    expected="a mapping from names to images",
)
IMAGE = Either(
    "the name of an image, a path, or a mapping",
    {
        "scalar": Str("the name of an image, or a path"),
        "mapping": Fields({"use": Field(Str(), "the name of an image"), **_FILE, **_SETTINGS}),
    },
)


def merge(image: Any, images: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the launch description of an image: defaults, then the named image, then the use; lists append.

    >>> merge("w", {"w": {"path": "/w.sif", "binds": ["/a"]}}, {"binds": ["/b"]})["binds"]
    ['/b', '/a']
    """
    local = _as_mapping(image)
    named = _as_mapping(images.get(local["use"], {})) if local.get("use") else {}
    merged: dict[str, Any] = {"runtime": "auto", "binds": [], "env": {}, "options": []}
    for layer in (defaults, named, local):
        for key, value in layer.items():
            if value is None or key == "use":
                continue
            if key in ("binds", "options"):
                merged[key] = merged[key] + [item for item in value if item not in merged[key]]
            elif key == "env":
                merged[key] = {**merged[key], **value}
            else:
                merged[key] = value
    for flag in ("nv", "rocm"):
        if merged.pop(flag, False) and f"--{flag}" not in merged["options"]:
            merged["options"].append(f"--{flag}")
    merged.pop("allow_sandbox", None)
    if merged.get("verify") == "launch":
        del merged["verify"]
    return merged


def _as_mapping(image: Any) -> dict[str, Any]:
    if isinstance(image, str):
        return {"path": image} if "/" in image or image.startswith("~") else {"use": image}
    return dict(image)


def check_use(image: Any, node: Node, what: str, cluster: Mapping[str, Any], report: Report) -> None:
    """Check an `image` value against the cluster's images. `cluster`: the fields of the cluster."""
    images, defaults = cluster.get("images") or {}, cluster.get("image_defaults") or {}
    local = _as_mapping(image)
    used, path = local.get("use"), local.get("path")
    if (used is None) == (path is None):
        report.error(f"{what} expects exactly one of 'use' and 'path'", node)
        return
    if used is not None and used not in images:
        near = names.suggestion(used, images)
        report.error(f"{what}: there is no image {used!r}{near}; images: {names.listed(images)}", node)
        return
    if path is not None and isinstance(image, str):
        problem = _path_complaint(path)
        if problem:
            report.error(f"{what}: {problem}", node)
            return
    if used is not None and images[used] is None:
        return  # it has its own finding
    named = _as_mapping(images[used]) if used is not None else {}
    _check_file(merge(image, images, defaults), {**named, **local}, node, what, report)
    if "sha256" not in merge(image, images, defaults):
        pinned = cluster.get("require_pinned_images")
        text = f"{what}: the image has no 'sha256', so another file under its name is not noticed"
        if pinned:
            report.error(f"{text} (require_pinned_images)", node, code="image-not-pinned")
        else:
            report.warning(text, node, code="image-not-pinned")


def _check_file(merged: Mapping[str, Any], own: Mapping[str, Any], node: Node, what: str, report: Report) -> None:
    path = merged.get("path")
    if path is None:
        report.error(f"{what}: the image has no 'path'", node)
    elif not path.endswith(".sif") and not own.get("allow_sandbox"):
        report.error(
            f"{what}: expected an image file that ends in '.sif', found {path!r}; 'allow_sandbox: true' permits a "
            "sandbox directory",
            node,
        )
