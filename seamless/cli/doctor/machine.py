"""Checks of one machine: is it reached, what does it have, is there room. One login for all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from seamless.cli.doctor import probe
from seamless.cli.doctor.finding import HERE, Finding, good, note, problem, skipped
from seamless.cli.doctor.plan import Place, Service
from seamless.errors import SeamlessError
from seamless.launcher.errors import GuardRejected, HelperMissing, SSHConnectionError
from seamless.version import __version__

# The first one is asked for its version.
HELPERS = ["rhl-ensure", "rhl-launch-service", "rhl-ps", "rhl-inspect", "rhl-logs", "rhl-stop"]
CONDA_PLACES = ["~/miniforge3/bin", "~/miniconda3/bin"]
LANGUAGES = ("c", "cpp", "fortran", "rust", "go")
OLDEST_PYTHON = (3, 10)
FEW_BYTES, FEW_INODES = 1_000_000_000, 10_000
CLOCK_NOTE, CLOCK_PROBLEM = 5.0, 60.0  # seconds
_INSTALL = "install Seamless there, on PATH or in a conda environment ~/miniforge3 or ~/miniconda3"

Facts = dict[str, Any]


def check_machine(place: Place, seconds: float) -> list[Finding]:
    """Return the findings about a machine. Blocks at most about `seconds`; a failure is a finding."""
    return _check_here(place, seconds) if place.host is None else _check_there(place, place.host, seconds)


def _request(place: Place, helpers: list[str], beside: list[str]) -> dict[str, Any]:
    """Return what the probe is to look at: also for the compilers, after what may be asked for its version."""
    request = place.request(helpers, beside)
    return {**request, "programs": [*request["programs"], *_compiler_names().values()]}


def _compiler_names() -> dict[str, str]:
    """Return the compiler of each language, as steps here are compiled."""
    from seamless.transformer.languages.registry import get_language

    return {language: get_language(language).compilation.compiler for language in LANGUAGES}


def _source() -> bytes:
    with open(probe.__file__, "rb") as file:
        return file.read()


def _check_here(place: Place, seconds: float) -> list[Finding]:
    beside = [os.path.dirname(sys.executable)]
    command = [sys.executable, "-I", "-", json.dumps(_request(place, [], beside))]
    try:
        done = subprocess.run(command, input=_source(), capture_output=True, timeout=seconds, check=True)
        facts = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as exc:
        return [skipped("machine", HERE, f"the probe failed: {exc}")]
    return [*_programs(place, HERE, facts), compilers(HERE, facts), *_resources(place, HERE, facts)]


def _check_there(place: Place, host: str, seconds: float) -> list[Finding]:
    from seamless.launcher.ssh.connection import SSHConnection

    request = json.dumps(_request(place, HELPERS, CONDA_PLACES))
    connection = SSHConnection(host)
    begin, start = time.time(), time.monotonic()
    try:
        done = connection.run(["python3", "-I", "-", request], timeout=seconds, data=_source())
        took = time.monotonic() - start
    except GuardRejected:
        return _check_guarded(place, host, seconds)
    except HelperMissing:
        return [good("ssh", host), problem("python", host, "there is no python3", "install Python 3.10 or newer")]
    except SSHConnectionError as exc:
        return [problem("ssh", host, exc.message, exc.hint)]
    except SeamlessError as exc:
        return [problem("ssh", host, str(exc), f"see whether `ssh {host}` works by hand")]
    reached = good("ssh", host, f"{took:.1f} s")
    try:
        facts = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        return [reached, problem("python", host, f"the probe failed: {' '.join(said)}", "install Python 3.10 or newer")]
    return [
        reached,
        _python(host, facts),
        *_helpers(host, facts),
        *_programs(place, host, facts),
        compilers(host, facts),
        _clock(host, facts["time"], begin, took),
        *_resources(place, host, facts),
    ]


def _check_guarded(place: Place, host: str, seconds: float) -> list[Finding]:
    """Return what can be learned under a guard, which lets nothing run but the helpers."""
    from seamless.launcher.ssh.connection import SSHConnection

    found = [good("ssh", host), note("guard", host, "the key is limited to the helpers by rhl-guard")]
    try:
        done = SSHConnection(host).run(["rhl-ps", "--json"], timeout=seconds)
    except SeamlessError as exc:
        return [*found, problem("helpers", host, str(exc), _INSTALL)]
    if done.status:
        found.append(problem("helpers", host, done.stderr.strip() or f"rhl-ps: status {done.status}", _INSTALL))
    else:
        found.append(good("helpers", host, "rhl-ps works"))
    directories = [service.directory for service in place.services if service.directory]
    for directory in dict.fromkeys(directories):
        found.append(_guarded_directory(host, directory, seconds))
    reason = "the guard does not let it be looked at; use a key without it"
    return [*found, skipped("clock, disk, locks, ports", host, reason)]


def _guarded_directory(host: str, directory: str, seconds: float) -> Finding:
    from seamless.launcher.ssh.connection import SSHConnection

    words = ["rhl-ps-persistent", "--json", "--marker", ".HASHSERVER_PREFIX", directory]
    try:
        done = SSHConnection(host).run(words, timeout=seconds)
    except SeamlessError as exc:
        return problem("directory", host, f"{directory}: {exc}", "add it to the data roots of the guard there")
    if done.status:
        return problem("directory", host, f"{directory}: {done.stderr.strip()}", "make the directory there")
    return good("directory", host, f"{directory}: the guard permits it")


# --- judgements -----------------------------------------------------------------------------------


def _python(host: str, facts: Facts) -> Finding:
    version = facts["python"]
    if tuple(map(int, version.split("."))) < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        fix = f"install Python {wanted} or newer there, for example Miniforge in ~/miniforge3"
        return problem("python", host, f"{facts['executable']} is Python {version}", fix)
    return good("python", host, f"{version} ({facts['executable']})")


def _helpers(host: str, facts: Facts) -> list[Finding]:
    programs = {name: facts["programs"][name] for name in HELPERS}
    missing = [name for name, path in programs.items() if path is None]
    looked = f"PATH, {', '.join(CONDA_PLACES)}"
    if len(missing) == len(programs):
        text = f"not found (looked in {looked}); they are sent along with each first command"
        return [note("helpers", host, text, _INSTALL)]
    if missing:
        has_old = missing == ["rhl-ensure"]
        text = f"an older launcher, without {missing[0]}" if has_old else f"without {', '.join(missing)}"
        return [(note if has_old else problem)("helpers", host, f"{text} (looked in {looked})", _INSTALL)]
    version = str(facts["version"]).rpartition(" ")[2]
    where = os.path.dirname(str(programs[HELPERS[0]]))
    if version != __version__:
        text = f"version {version or 'unknown'} in {where}; here it is {__version__}"
        return [note("helpers", host, text, f"install version {__version__} there")]
    return [good("helpers", host, f"version {version} in {where}")]


def _programs(place: Place, where: str, facts: Facts) -> list[Finding]:
    """Return a finding for each service whose command must be there."""
    found = []
    for service in place.services:
        program = service.program
        if program is None:
            continue
        path = facts["programs"].get(program)
        if path is None:
            text = f"the command {program} of the {service.name} is not found"
            fix = "install Seamless with its services: pip install 'seamless[services]', or set 'conda' or 'image'"
            found.append(problem("program", where, text, fix))
        else:
            found.append(good("program", where, path))
    return found


def compilers(where: str, facts: Facts) -> Finding:
    """Return what compiled steps can be built with. None is needed by other steps: it is never a problem."""
    names = _compiler_names()
    there = [f"{names[language]} ({language})" for language in LANGUAGES if facts["programs"].get(names[language])]
    absent = [f"{names[language]} ({language})" for language in LANGUAGES if not facts["programs"].get(names[language])]
    text = ", ".join(there) or "none"
    return good("compilers", where, f"{text}; not there: {', '.join(absent)}" if there and absent else text)


def _clock(host: str, there: float, begin: float, took: float) -> Finding:
    """Return a finding about the difference of two clocks, which is known no better than the call took."""
    difference = there - (begin + took / 2)
    text = f"{abs(difference):.1f} s {'ahead' if difference > 0 else 'behind'}"
    sure = abs(difference) - took / 2
    if sure > CLOCK_PROBLEM:
        return problem("clock", host, text, "set the clocks (NTP) of both machines")
    if sure > CLOCK_NOTE:
        return note("clock", host, text, "set the clocks (NTP) of both machines")
    return good("clock", host, "the same" if sure <= 1 else text)


def _resources(place: Place, where: str, facts: Facts) -> list[Finding]:
    found = []
    for path, directory in facts["directories"].items():
        found += _directory(where, path, directory)
    for service in place.services:
        if service.name in facts["ports"]:
            found.append(_ports(where, service, facts["ports"][service.name]))
    return found


def _directory(where: str, path: str, facts: Facts) -> list[Finding]:
    found = []
    if facts["problem"]:
        nearest = facts["nearest"]
        text = f"{path}: cannot write in {nearest}: {facts['problem']}"
        return [problem("directory", where, text, f"make {path} there, writable for you; or configure another one")]
    free, inodes = facts["free"], facts["inodes_free"]
    shown = f"{path}: {free / 1e9:.1f} GB free"
    if free < FEW_BYTES:
        found.append(problem("disk", where, shown, "free some space, or configure another directory"))
    elif facts["inodes"] and inodes < FEW_INODES:
        text = f"{path}: {inodes} files (inodes) left"
        found.append(problem("disk", where, text, "delete files, or configure another directory"))
    else:
        found.append(good("directory", where, shown + ("" if facts["exists"] else "; made at need")))
    if facts["lock"]:
        fix = "use another file system for it, or mount this one with locks (NFS: not nolock; Lustre: flock)"
        found.append(problem("locks", where, f"{path}: {facts['lock']}", fix))
    elif facts["lock"] is not None:
        found.append(good("locks", where, path))
    return found


def _ports(where: str, service: Service, facts: Facts) -> Finding:
    text = f"{service.name} on {service.interface} {service.fields['port_start']}-{service.fields['port_end']}"
    if facts["problem"]:
        fix = "set network_interface to an address or name of that machine (ip address)"
        if "ermission" in facts["problem"]:
            fix = "use ports from 1024 on"
        return problem("ports", where, f"{text}: {facts['problem']}", fix)
    if facts["free"] < service.ports_needed:
        return problem("ports", where, f"{text}: {facts['free']} free", "widen port_start to port_end")
    return good("ports", where, f"{text}: {facts['free']} of {facts['tried']} free")
