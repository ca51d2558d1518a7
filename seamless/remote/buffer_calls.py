"""The requests of the hashserver that are small: what is asked, and what the answers mean."""

from __future__ import annotations

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError
from seamless.remote.calls import JSON, Answer, Call, json_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

EMPTY = Checksum.of(b"")
STORED = (200, 201)
UPLOADED_BY_ANOTHER = 202  # a reference server has thrown our bytes away, and the other upload may yet fail
_NO_POST = (404, 405, 501)
_NO_GROUPS = (400, 404, 405, 413, 501)


class NoPostError(Exception):
    """Internal: the server takes lists only with GET, as the reference does."""


class NoGroupsError(Exception):
    """Internal: the server does not take several buffers in one request, as the reference does not."""


class TooManyError(Exception):
    """Internal: the list is longer than the server takes."""


def ask_list(path: str, checksums: Sequence[Checksum], *, post: bool) -> Call:
    """Ask `path` about checksums; the answer is a list of as many values. Raises NoPostError, TooManyError."""

    def answer(got: Answer) -> list[Any]:
        if got.status == 200:
            values = got.json()
            if not isinstance(values, list) or len(values) != len(checksums):
                raise got.unexpected(f"a list of {len(checksums)} values")
            return values
        if post and got.status in _NO_POST:
            raise NoPostError
        if got.status == 413 and len(checksums) > 1:
            raise TooManyError
        raise got.refused()

    body = json_body([c.hex() for c in checksums])
    return Call("POST" if post else "GET", path, answer, body, JSON)


def put_group(members: Sequence[tuple[Checksum, Any]]) -> Call:
    """Store small buffers; the answer says of each whether it is stored. Raises NoGroupsError."""
    parts: list[Any] = []
    for checksum, data in members:
        parts += (checksum.bytes(), len(data).to_bytes(8, "big"), data)

    def answer(got: Answer) -> list[bool]:
        if got.status in _NO_GROUPS:
            raise NoGroupsError
        if got.status != 200:
            raise got.refused()
        statuses = got.json()
        if not isinstance(statuses, list) or len(statuses) != len(members):
            raise got.unexpected(f"a list of {len(members)} statuses")
        return [status in STORED for status in statuses]

    return Call("PUT", "/buffers", answer, b"".join(parts), "Content-Type: application/octet-stream\r\n")


def promise(checksum: Checksum) -> Call:
    """Say that a buffer will come; the result is False where the server takes no promises."""

    def answer(got: Answer) -> bool:
        if got.status in (404, 405):
            return False
        if 200 <= got.status < 300:
            return True
        raise got.refused()

    return Call("PUT", f"/promise/{checksum.hex()}", answer, b"")


def length_of(checksum: Checksum, value: Any) -> int | None:
    """Return the length that an answer of /buffer-length means; None if absent, -1 if it does not tell."""
    if value is True:
        return -1  # promised, and perhaps also stored
    if not value:
        return 0 if checksum == EMPTY else None
    return value if isinstance(value, int) else -1


def put_refused(got: Answer, checksum: Checksum, where: str) -> StoreError | BufferCorruptionError:
    """Return the error for a buffer that was not stored."""
    if got.status == 400 and "checksum" in got.text.lower():
        return BufferCorruptionError(checksum.hex(), where=where)
    if got.status in (404, 405):
        from seamless.errors import StoreReadOnlyError

        return StoreReadOnlyError(
            f"the {got.service} {got.url} may only be read ({got.status}: {got.text[:100]}); start it with --writable"
        )
    return got.refused()


def get_refused(got: Answer, checksum: Checksum) -> StoreError | BufferCorruptionError:
    """Return the error for a buffer that was not given."""
    if got.status == 400 and "corrupt" in got.text.lower():
        return BufferCorruptionError(checksum.hex(), where=f"the {got.service} {got.url}")
    return got.refused()
