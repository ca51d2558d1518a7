"""The services that may be started under the guard, and the arguments that each may get: a closed list. Data only.

Stricter than the services: no abbreviation, no repetition, no option that names a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seamless.launcher.guard.refusals import Rejected


class Service(NamedTuple):
    """What one service accepts. `data`: its only word is a `directory` or a `file`; `words`: the only ones allowed.

    `options`: how many values each takes, as patterns; an empty tuple is a flag.
    """

    options: Mapping[str, tuple[str, ...]]
    data: str = ""
    words: frozenset[str] = frozenset()


_NUMBER = r"[0-9]{1,12}"
_DECIMAL = r"[0-9]{1,9}(\.[0-9]{0,9})?"
_SIZE = r"[0-9]{1,15} ?([kKmMgGtT]?[iI]?[bB]?)"
_COMMON: dict[str, tuple[str, ...]] = {
    "--port": (_NUMBER,),
    "--port-range": (_NUMBER, _NUMBER),
    "--host": (r"[A-Za-z0-9._:%-]+",),
    "--status-file": (r"[^-].*",),
    "--timeout": (_DECIMAL,),
    "--insecure": (),
    "--access-log": (),
    "--log-format": ("text|json",),
}

SERVICES: Mapping[str, Service] = {
    "hashserver": Service(
        {
            **_COMMON,
            "--writable": (),
            "--extra-dirs": (r"[^-].*",),
            "--layout": ("flat|prefix",),
            "--hash-algorithm": (r"sha-256|sha3-256",),
            "--lock-timeout": (_DECIMAL,),
            "--durability": ("none|file|full",),
            "--max-body": (_SIZE,),
            "--max-batch": (_NUMBER,),
        },
        data="directory",
    ),
    "seamless-database": Service(
        {**_COMMON, "--writable": (), "--strict": (), "--migrate": (), "--max-body": (_SIZE,)}, data="file"
    ),
    "seamless-jobserver": Service(
        {**_COMMON, "--workers": (_NUMBER,), "--max-queue": (_NUMBER,), "--max-body": (_SIZE,)}
    ),
    "seamless-dask-wrapper": Service(
        _COMMON,
        words=frozenset(("distributed::LocalCluster", "dask_jobqueue::SLURMCluster", "dask_jobqueue::OARCluster")),
    ),
}


class ServiceCall(NamedTuple):
    """The command of a service, taken apart: (option, its values), or ("", (word,)), in the order of the command."""

    binary: str
    items: tuple[tuple[str, tuple[str, ...]], ...]

    def argv(self) -> list[str]:
        """Return the command with each value as a word of its own."""
        argv = [self.binary]
        for name, values in self.items:
            argv += [name, *values] if name else values
        return argv

    def values(self, name: str) -> tuple[str, ...] | None:
        """Return the values of an option (of "": the word), or None if it is not there."""
        return next((values for found, values in self.items if found == name), None)

    def with_values(self, name: str, *values: str) -> ServiceCall:
        """Return a copy with other values of an option (of "": another word); put it first if it is not there."""
        if self.values(name) is None:
            return self._replace(items=((name, values), *self.items))
        return self._replace(items=tuple((found, values if found == name else old) for found, old in self.items))


def parse_service(argv: Sequence[str], allowed: frozenset[str]) -> ServiceCall:
    """Return the parts of a service command. Raises Rejected."""
    binary = argv[0]
    service = SERVICES.get(binary)
    if service is None or binary not in allowed:
        raise Rejected(f"service binary is not whitelisted: {binary[:120]!r}")
    items: list[tuple[str, tuple[str, ...]]] = []
    i = 1
    while i < len(argv):
        word = argv[i]
        i += 1
        if not word.startswith("-"):
            items.append(("", (word,)))
            continue
        name, separator, text = word.partition("=")
        kinds = service.options.get(name)
        if kinds is None:
            raise Rejected(f"{binary} may not get this option here: {word[:120]}")
        if any(name == found for found, _ in items):
            raise Rejected(f"{name} is given more than once")
        values = (text,) if separator else tuple(argv[i : i + len(kinds)])
        i += 0 if separator else len(kinds)
        _check_values(name, kinds, values)
        items.append((name, values))
    _check_words(binary, service, [values[0] for name, values in items if not name])
    return ServiceCall(binary, tuple(items))


def _check_values(name: str, kinds: tuple[str, ...], values: tuple[str, ...]) -> None:
    if len(values) != len(kinds):
        raise Rejected(f"{name} requires a value" if kinds else f"{name} takes no value")
    for kind, value in zip(kinds, values, strict=True):
        if not re.fullmatch(kind, value):
            raise Rejected(f"{name}: {value[:120]!r} is not allowed here")


def _check_words(binary: str, service: Service, words: list[str]) -> None:
    wanted = 1 if service.data or service.words else 0
    if len(words) != wanted:
        what = f"exactly one {service.data}" if service.data else "one cluster class" if wanted else "no words"
        raise Rejected(f"{binary} gets {what}; found {len(words)} words")
    if service.words and words[0] not in service.words:
        raise Rejected(f"{binary} may not get {words[0][:120]!r}; allowed are {', '.join(sorted(service.words))}")
