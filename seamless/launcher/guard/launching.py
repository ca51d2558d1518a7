"""What may be started: the arguments of `rhl-launch-service` and `rhl-ensure`, judged and rewritten.

Everything in them that names a place is replaced by what it was resolved to.
"""

from __future__ import annotations

import json
import os
import re
import stat
from typing import Any

from seamless.launcher.grammar import Invocation
from seamless.launcher.guard.paths import PathPolicy, is_below
from seamless.launcher.guard.probes import is_wildcard, local_address
from seamless.launcher.guard.refusals import Rejected
from seamless.launcher.guard.services import SERVICES, ServiceCall, parse_service
from seamless.launcher.guard.settings import Settings
from seamless.launcher.guarded import Guarded, Resolved
from seamless.launcher.paths import DEFAULT_BASE, expand_home, server_directory, state_path

HASHSERVER_FILE = ".HASHSERVER_PREFIX"  # what a hashserver puts into its directory, beside buffers

_IMAGE_FIELDS = frozenset(("path", "sha256", "runtime", "binds", "env", "options", "submit", "submit_binds"))
_IMAGE_OPTIONS = frozenset(("--nv", "--rocm", "--contain", "--containall", "--cleanenv", "--no-home", "--userns"))
_IMAGE_VARIABLES = re.compile(r"TZ|LANG|LC_[A-Z]+|(OMP|MKL|OPENBLAS|NUMEXPR)_NUM_THREADS")


def judge_launch(call: Invocation, settings: Settings) -> tuple[Invocation, Guarded]:
    """Return what is to be executed instead of `call`. Raises Rejected."""
    policy = PathPolicy(settings)
    policy.require()
    key = str(call.options["key"])
    service = parse_service(call.service, settings.services)
    kind = SERVICES[service.binary].data
    workdir = policy.to_work_in(str(call.options["workdir"]), data=bool(kind))
    service = _own_status_file(service, key)
    if kind:
        service = _data(service, kind, workdir, policy)
    if "image" in call.options:
        call = call.replaced(image=_image(str(call.options["image"]), policy, settings))
        if "parameters" in call.options:
            call = call.replaced(parameters=_parameters(str(call.options["parameters"]), policy))
    call, service = _addresses(call, service, bind=settings.bind)
    call = call.replaced(workdir=workdir.path)._replace(service=tuple(service.argv()))
    return call, Guarded(paths=(workdir,), max_services=settings.max_services)


def _own_status_file(service: ServiceCall, key: str) -> ServiceCall:
    """Return the command with this machine's state file of `key` where that is named, also by its usual place."""
    values = service.values("--status-file")
    if values is None:
        return service
    path = expand_home(values[0])
    if not path.startswith("/"):
        raise Rejected("--status-file must be absolute")
    directory, name = os.path.split(path)
    usual = os.path.join(expand_home(DEFAULT_BASE), "server")
    if os.path.realpath(directory) not in (os.path.realpath(server_directory()), os.path.realpath(usual)):
        raise Rejected("--status-file must live under the launcher server directory")
    if name != f"{key}.json":
        raise Rejected(f"--status-file must be the state file of this key, {key}.json")
    return service.with_values("--status-file", state_path(key))


def _data(service: ServiceCall, kind: str, workdir: Resolved, policy: PathPolicy) -> ServiceCall:
    """Return the command with its data resolved, which must be in the work directory."""
    (text,) = service.values("") or ("",)
    if kind == "file":
        directory, name = os.path.split(text)
        place = policy.general(directory or text)
        data = os.path.join(place.path, name)
        _check_database_file(data)
        made = name
    else:
        place = policy.general(text)
        data, made = place.path, HASHSERVER_FILE
    if not is_below(place.path, workdir.path):
        raise Rejected(f"the data of {service.binary} must be in its work directory {workdir.path}: {data}")
    policy.to_fill(place, made)
    service = service.with_values("", data)
    extra = service.values("--extra-dirs")
    if extra is not None:
        found = [policy.to_list(part).path for part in extra[0].split(";") if part]
        if any(";" in path for path in found):
            raise Rejected("--extra-dirs: a directory must not have ';' in its name")
        service = service.with_values("--extra-dirs", ";".join(found))
    return service


def _check_database_file(path: str) -> None:
    name = os.path.basename(path)
    if not name.endswith(".db") or name.startswith("."):
        raise Rejected(f"the name of a database file must end with '.db', and not begin with '.': {path}")
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise Rejected(f"cannot use {path}: {exc.strerror}") from exc
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise Rejected(f"the database must be a regular file of this account: {path}")


def _addresses(call: Invocation, service: ServiceCall, *, bind: str) -> tuple[Invocation, ServiceCall]:
    """Return both with addresses of this machine only."""
    if bind:
        return call.replaced(network_interface=bind), service.with_values("--host", bind)
    given = [("--network-interface", call.options.get("network-interface"))]
    given += [("--host", value) for value in service.values("--host") or ()]
    for name, host in given:
        if host is not None and not is_wildcard(str(host)) and local_address(str(host)) is None:
            raise Rejected(f"{name} must be an address of this machine: {host}")
    return call, service


# --- container images ------------------------------------------------------------------------------


def _image(text: str, policy: PathPolicy, settings: Settings) -> str:
    """Return the image as JSON, with its paths resolved."""
    image: dict[str, Any] = json.loads(text)
    unknown = sorted(set(image) - _IMAGE_FIELDS)
    if unknown:
        raise Rejected(f"--image: unknown field {unknown[0][:120]!r}")
    if str(image.get("runtime") or "auto") not in ("auto", "apptainer", "singularity"):
        raise Rejected("--image: runtime must be auto, apptainer or singularity")
    image["path"] = _image_path(image.get("path"), settings)
    if image.get("submit", "proxy") not in ("bind", "proxy"):
        raise Rejected("--image: submit must be bind or proxy")
    image["binds"] = [_bind(bind, policy) for bind in _list(image, "binds")]
    if "submit_binds" in image:
        image["submit_binds"] = [_bind(bind, policy) for bind in _list(image, "submit_binds")]
    for option in _list(image, "options"):
        if option not in _IMAGE_OPTIONS:
            raise Rejected(f"--image: option {option[:120]!r} is not allowed here")
    variables = image.get("env", {})
    if not isinstance(variables, dict):
        raise Rejected("--image: env must be an object")
    for name, value in variables.items():
        if not _IMAGE_VARIABLES.fullmatch(name) or not str(value).isprintable():
            raise Rejected(f"--image: variable {name[:120]!r} is not allowed here")
    return json.dumps(image, sort_keys=True)


def _parameters(text: str, policy: PathPolicy) -> str:
    """Return the parameters of a service in an image, where the directories of buffers in them are bound."""
    parameters: dict[str, Any] = json.loads(text)
    buffers = parameters.get("buffer")
    for entry in buffers if isinstance(buffers, list) else ():
        directory = entry.get("remote_directory") if isinstance(entry, dict) else None
        if isinstance(directory, str):
            there = os.path.isdir(expand_home(directory))
            entry["remote_directory"] = (policy.to_list(directory) if there else policy.general(directory)).path
    return json.dumps(parameters)


def _list(image: dict[str, Any], name: str) -> list[str]:
    found = image.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) and item.isprintable() for item in found):
        raise Rejected(f"--image: {name} must be a list of plain texts")
    return found


def _image_path(path: object, settings: Settings) -> str:
    if not isinstance(path, str) or not path.isprintable() or not expand_home(path).startswith("/"):
        raise Rejected("--image: path must be absolute after ~ expansion")
    real = os.path.realpath(expand_home(path))
    if not any(is_below(real, root) for root in settings.image_roots):
        raise Rejected(f"image is outside configured --image-roots: {path}")
    try:
        found = os.lstat(real)
    except OSError as exc:
        raise Rejected(f"cannot use the image {path}: {exc.strerror}") from exc
    if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o022 or found.st_uid not in (0, os.geteuid()):
        raise Rejected(f"the image must be a regular file that only this account or root can write: {path}")
    return real


def _bind(bind: str, policy: PathPolicy) -> str:
    """Return a bind with its source resolved. Inside it has the same name: nothing of the image can be replaced."""
    source, _, rest = bind.partition(":")
    inside, _, mode = rest.partition(":")
    if inside not in ("", source) or mode not in ("", "ro", "rw"):
        raise Rejected(f"--image: a bind must keep its name inside the image: {bind[:120]!r}")
    resolved = policy.to_list(source)
    if any(character in resolved.path for character in ":,"):
        raise Rejected(f"--image: a bind must not have ':' or ',' in its name: {resolved.path}")
    return f"{resolved.path}:{resolved.path}:{mode or 'rw'}"
