"""The clients that have been defined in this process, by key or by name; those of one kind of service."""

from __future__ import annotations

from seamless.remote.errors import RemoteUsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_KEYS = ("readonly", "cluster", "project", "subproject", "stage")


class Registry:
    """Defined clients. `launch` makes a launched client from its five keys."""

    def __init__(self, kind: str, launch: Callable[..., Any]):
        self._kind, self._launch = kind, launch
        self.launched: dict[tuple[Any, ...], Any] = {}
        self.externs: dict[str, Any] = {}

    def define_launched(
        self, readonly: bool, cluster: str, project: str, subproject: str | None, stage: str | None, *more: str
    ) -> Any:
        """Return the client with these keys; there is one of each. `more`: the substage, where it has one."""
        key = (readonly, cluster, project, subproject or "", stage or "", *more)
        if key not in self.launched:
            self.launched[key] = self._launch(*key)
        return self.launched[key]

    def define_extern(self, name: str, client: Any) -> Any:
        """Keep a client under a name, instead of an earlier one."""
        self.externs[name] = client
        return client

    def selected(
        self, main: tuple[Any, ...] | None, extra_launched: Sequence[Any], externs: Sequence[Any]
    ) -> list[Any]:
        """Return the clients to activate: the main one, extra launched ones, extern ones.

        Raises RemoteUsageError for a name that is not defined, and for a launched client that is given twice.
        """
        chosen: list[Any] = [self.define_launched(*main)] if main is not None else []
        for extra in extra_launched:
            client = self._extra(extra)
            if client in chosen:
                raise RemoteUsageError(
                    f"the {self._kind} {client.name} is to be activated twice: leave it out of extra_launched_clients"
                )
            chosen.append(client)
        for extern in externs:
            chosen.append(self._extern(extern))
        return chosen

    def clear(self) -> None:
        """Forget all definitions."""
        self.launched.clear()
        self.externs.clear()

    def _extra(self, extra: Any) -> Any:
        """Return the client meant by an extra launched one: a client, a dict of keys, or a tuple of them."""
        if extra in self.launched.values():
            return extra
        keys: dict[str, Any]
        if isinstance(extra, dict):
            keys = extra
        elif isinstance(extra, (tuple, list)):
            keys = dict(zip(_KEYS if extra and isinstance(extra[0], bool) else _KEYS[1:], extra, strict=False))
        else:
            keys = {}
        unknown = set(keys) - set(_KEYS)
        if unknown or not (keys.get("cluster") and keys.get("project")):
            raise RemoteUsageError(
                f"extra_launched_clients: {extra!r} does not name a {self._kind}; expected "
                "(cluster, project[, subproject[, stage]]), with readonly before it if it is to be written, or a dict"
            )
        return self.define_launched(
            bool(keys.get("readonly", True)),
            keys["cluster"],
            keys["project"],
            keys.get("subproject"),
            keys.get("stage"),
        )

    def _extern(self, extern: Any) -> Any:
        if extern in self.externs.values():
            return extern
        if not isinstance(extern, str) or extern not in self.externs:
            known = ", ".join(sorted(self.externs)) or "none"
            raise RemoteUsageError(
                f"extern_clients: no {self._kind} is defined under the name {extern!r}; defined are: {known}"
            )
        return self.externs[extern]
