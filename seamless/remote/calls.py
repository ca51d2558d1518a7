"""A request and what its answer means, apart from how it is sent: the blocking and the async clients share them."""

from __future__ import annotations

TYPE_CHECKING = False  # that of `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from seamless.errors import StoreError

JSON = "Content-Type: application/json\r\n"


class Answer:
    """A complete answer: `status`, `headers` (names in lower case), `body`, and who gave it."""

    __slots__ = ("body", "has_token", "headers", "service", "status", "url")

    def __init__(self, status: int, headers: dict[str, str], body: bytes, service: str, url: str, has_token: bool):
        self.status, self.headers, self.body = status, headers, body
        self.service, self.url, self.has_token = service, url, has_token

    @property
    def text(self) -> str:
        """The body as text, without blanks at its ends."""
        return self.body.decode("utf-8", "replace").strip()

    def json(self) -> Any:
        """Return the value of a JSON body. Raises RemoteError if it is none."""
        import json

        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise self.unexpected("JSON") from None

    def refused(self) -> StoreError:
        """Return the error for an answer that is not one of those expected."""
        from seamless.remote.errors import refusal

        return refusal(self.service, self.url, self.status, self.body, has_token=self.has_token)

    def unexpected(self, expected: str) -> StoreError:
        """Return the error for a body that is not what it should be."""
        from seamless.remote.errors import RemoteError

        return RemoteError(
            f"the {self.service} {self.url} answers {self.text[:80]!r} where {expected} was expected; "
            f"is there a {self.service} at this address?",
            service=self.service,
            url=self.url,
        )


class Call:
    """One request. `answer` makes the result from the answer, or raises. Every call may be repeated.

    `waits`: the service may take its time, so that the call must not count among those that are under way.
    """

    __slots__ = ("answer", "body", "headers", "method", "target", "waits")

    def __init__(
        self,
        method: str,
        target: str,
        answer: Callable[[Answer], Any],
        body: bytes | None = None,
        headers: str = "",
        *,
        waits: bool = False,
    ):
        self.method, self.target, self.answer, self.body, self.headers = method, target, answer, body, headers
        self.waits = waits


def json_body(value: Any) -> bytes:
    """Return the JSON text of a value. Raises MalformedValueError if it has none."""
    import json

    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        from seamless.stores.errors import MalformedValueError

        raise MalformedValueError(f"not JSON: {exc}") from exc
