"""Who has sent a request, for what is noted about it. Believed, not checked: only the address is certain."""

from __future__ import annotations

from seamless.services.common import Scope, header

_LONGEST = 200


class Sender:
    """The text of it, `user@host (address)` or as much as is known, is only made when somebody wants it."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope):
        self._scope = scope

    def __str__(self) -> str:
        client = self._scope.get("client")
        address = str(client[0]) if client else "unknown address"
        name = _comment(header(self._scope, b"user-agent") or b"")
        return f"{name} ({address})" if name else address


def _comment(agent: bytes) -> str:
    """Return what a client of ours says of itself in `User-Agent: seamless/VERSION (user@host)`, else nothing."""
    text = agent.decode("ascii", "replace")
    name = text.partition(" (")[2].rpartition(")")[0]
    known = text.startswith("seamless/") and "@" in name and len(name) <= _LONGEST and name.isprintable()
    return name if known and not any(c in name for c in " ()") else ""
