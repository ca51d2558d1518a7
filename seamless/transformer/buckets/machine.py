"""What can be read about this machine without special rights. A fact that cannot be had is None, never guessed."""

from __future__ import annotations

import os
import platform
import re
from typing import Any


def node_facts() -> dict[str, Any]:
    """Return the facts of the bucket `node`."""
    return {
        "cpu": _cpu(),
        "memory_total_bytes": _memory(),
        "numa_topology": _numa(),
        "aslr": _text("/proc/sys/kernel/randomize_va_space"),
        "transparent_hugepages": _chosen(_text("/sys/kernel/mm/transparent_hugepage/enabled")),
        "overcommit_memory": _text("/proc/sys/vm/overcommit_memory"),
        "platform": platform.platform(),
        "os": dict(zip(("system", "release", "version", "machine"), _uname(), strict=True)),
        "distribution": _distribution(),
        "libraries": {"glibc": _glibc(), "libm": _mapped("libm")},
        "filesystems": filesystem_types(),
        "container": _container(),
        "gpu_inventory": _gpus(),
        "hostname": hostname(),
    }


def hostname() -> str:
    """Return the name of this machine."""
    return os.uname().nodename


def boot_id() -> str | None:
    """Return what changes with each boot."""
    return _text("/proc/sys/kernel/random/boot_id")


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read(1 << 20).strip()
    except OSError:
        return None


def _uname() -> tuple[str, str, str, str]:
    found = os.uname()
    return found.sysname, found.release, found.version, found.machine


def _cpu() -> dict[str, Any]:
    text = _text("/proc/cpuinfo") or ""

    def field(name: str) -> str | None:
        found = re.search(rf"^{name}\s*:\s*(.*)$", text, re.MULTILINE)
        return found[1].strip() if found else None

    return {
        "model": field("model name"),
        "vendor": field("vendor_id"),
        "microcode": field("microcode"),
        "flags": sorted((field("flags") or field("Features") or "").split()),
        "logical_processors": os.cpu_count(),
    }


def _memory() -> int | None:
    found = re.search(r"^MemTotal:\s*(\d+) kB", _text("/proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _numa() -> dict[str, str | None] | None:
    root = "/sys/devices/system/node"
    try:
        nodes = sorted(name for name in os.listdir(root) if re.fullmatch(r"node\d+", name))
    except OSError:
        return None
    return {name: _text(f"{root}/{name}/cpulist") for name in nodes}


def _chosen(text: str | None) -> str | None:
    """Return the word in brackets of `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else text


def _distribution() -> dict[str, str] | None:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return None
    return {key.lower(): release[key] for key in ("ID", "VERSION_ID", "PRETTY_NAME") if key in release}


def _glibc() -> str | None:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        return None


def _mapped(library: str) -> str | None:
    """Return the path of a library that this process has loaded."""
    for line in (_text("/proc/self/maps") or "").splitlines():
        path = line.rpartition(" ")[2]
        if os.path.basename(path).startswith(f"{library}."):
            return os.path.realpath(path)
    return None


def filesystem_types() -> dict[str, str | None]:
    """Return the type of the file system of the places that matter."""
    return {name: _filesystem(path) for name, path in _places().items()}


def _places() -> dict[str, str]:
    return {"root": "/", "home": os.path.expanduser("~"), "tmp": os.environ.get("TMPDIR") or "/tmp"}


def _filesystem(path: str) -> str | None:
    """Return the type of the file system that a path is on."""
    best, kind = "", None
    for line in (_text("/proc/self/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        mount = fields[1].replace("\\040", " ")
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, fields[2]
    return kind


def _container() -> str | None:
    for variable in ("APPTAINER_NAME", "SINGULARITY_NAME"):
        if os.environ.get(variable):
            return f"apptainer:{os.environ[variable]}"
    if os.path.exists("/.dockerenv"):
        return "docker"
    return "podman" if os.path.exists("/run/.containerenv") else None


def _gpus() -> list[str] | None:
    """Return what the driver of NVIDIA tells of each card; None without that driver."""
    root = "/proc/driver/nvidia/gpus"
    try:
        cards = sorted(os.listdir(root))
    except OSError:
        return None
    return [_text(f"{root}/{card}/information") or card for card in cards]
