"""The requests of the database server: what is asked, and what the answers mean."""

from __future__ import annotations

from seamless.checksum import Checksum
from seamless.remote.calls import Answer, Call, json_body
from seamless.stores.errors import ConflictError, MalformedValueError, UnknownResultError
from seamless.stores.records import EXISTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

UNKNOWN = "ERROR: Unknown key"
_PREFIX = "ERROR: "


class NoClaimsError(Exception):
    """Internal: the server has no claims, as the reference has none."""


class NoDeletionError(Exception):
    """Internal: the server deletes nothing, as the reference does not."""


class NoBatchError(Exception):
    """Internal: the server takes no batches, as the reference does not."""


# --- answers ----------------------------------------------------------------------------------


def _failure(got: Answer) -> Exception:
    text = got.text
    if got.status in (400, 404, 409) and text.startswith(_PREFIX):
        reason = text[len(_PREFIX) :]
        if got.status == 409:
            return ConflictError(reason)
        if got.status == 404:
            return UnknownResultError(reason)
        return MalformedValueError(f"the {got.service} {got.url} answers: {reason}")
    return got.refused()


def _or_absent(parse: Callable[[Answer], Any], absent: Any = None) -> Callable[[Answer], Any]:
    """Return the answer function of a GET; only the text of a database means that there is nothing."""

    def answer(got: Answer) -> Any:
        if got.status == 200:
            return parse(got)
        if got.status == 404 and got.text == UNKNOWN:
            return absent() if callable(absent) else absent
        raise _failure(got)

    return answer


def _done(got: Answer) -> bool:
    if got.status != 200:
        raise _failure(got)
    return True


def _kept(got: Answer) -> bool | None:
    """False if another result is stored; None if the server does not tell."""
    if got.status == 409:
        return False
    if got.status == 200 and got.text in ("KEPT", "KEPT ANOTHER"):
        return got.text == "KEPT"
    _done(got)
    return None


def _written(got: Answer) -> bool:
    """False for the one conflict that is none: there is a record already, with other measurements."""
    return False if got.status == 409 and got.text == _PREFIX + EXISTS else _done(got)


def _checksum(got: Answer) -> Checksum:
    text = got.text
    try:
        return Checksum(text)
    except ValueError:
        raise got.unexpected("a checksum") from None


def _checksums(got: Answer) -> list[Checksum]:
    try:
        return list(dict.fromkeys(Checksum(name) for name in got.json()))
    except (TypeError, ValueError):
        raise got.unexpected("a list of checksums") from None


def _object(got: Answer) -> dict[str, Any]:
    value = got.json()
    if not isinstance(value, dict):
        raise got.unexpected("a JSON object")
    return value


def _list(got: Answer) -> list[Any]:
    value = got.json()
    if not isinstance(value, list):
        raise got.unexpected("a JSON list")
    return value


# --- calls ------------------------------------------------------------------------------------


def _get(answer: Callable[[Answer], Any], **request: Any) -> Call:
    return Call("GET", "/", answer, json_body(request))


def _put(answer: Callable[[Answer], Any], **request: Any) -> Call:
    return Call("PUT", "/", answer, json_body(request))


def protocol() -> Call:
    """Ask for the name and version of the protocol."""
    return _get(_list_or_failure, type="protocol")


def _list_or_failure(got: Answer) -> list[Any]:
    if got.status != 200:
        raise got.refused()
    return _list(got)


def get_result(transformation: Checksum) -> Call:
    """Ask for the result; None if there is none."""
    body = b'{"type":"transformation","checksum":"%b"}' % transformation.hex().encode()
    return Call("GET", "/", _or_absent(_checksum), body)


def set_result(transformation: Checksum, result: Checksum) -> Call:
    """Keep a result; False if the server keeps another one, None if it does not tell."""
    return _put(_kept, type="transformation", checksum=transformation.hex(), value=result.hex(), told=True)


def get_transformations(result: Checksum) -> Call:
    """Ask for the transformations with this result."""
    return _get(_or_absent(_checksums, list), type="rev_transformations", checksum=result.hex())


def get_record(transformation: Checksum) -> Call:
    """Ask for the record; None if there is none."""
    return _get(_or_absent(_object), type="metadata", checksum=transformation.hex())


def set_record(transformation: Checksum, result: Checksum, record: dict[str, Any]) -> Call:
    """Keep a record; False if there is a different one."""
    return _put(_written, type="metadata", checksum=transformation.hex(), result=result.hex(), value=record)


def keep(transformation: Checksum, result: Checksum, record: dict[str, Any]) -> Call:
    """Keep a result and its record; False, and nothing is kept, if the server has something else.

    None if it has kept them, but does not tell whether that ends the claim.
    """
    return _put(
        _kept_both, type="metadata", checksum=transformation.hex(), result=result.hex(), value=record, told=True
    )


def _kept_both(got: Answer) -> bool | None:
    if got.status == 409:
        return False
    _done(got)
    return True if got.text == "KEPT" else None


def contest(transformation: Checksum, result: Checksum) -> Call:
    """Say that a result could not be reproduced."""
    return _put(_done, type="irreproducible", checksum=transformation.hex(), result=result.hex())


def delete_result(transformation: Checksum) -> Call:
    """Forget a result and its record; False if there was none. Raises NoDeletionError."""
    return _put(_deleted, type="delete", checksum=transformation.hex())


def _deleted(got: Answer) -> bool:
    if got.status == 400:
        raise NoDeletionError
    return False if got.status == 404 and got.text == UNKNOWN else _done(got)


def get_irreproducible(transformation: Checksum, result: Checksum | None) -> Call:
    """Ask for the contested results."""
    more = {} if result is None else {"result": result.hex()}
    return _get(_or_absent(_list, list), type="irreproducible", checksum=transformation.hex(), **more)


def get_buffer_info(checksum: Checksum) -> Call:
    """Ask what is known about a buffer; None if nothing."""
    return _get(_or_absent(_object), type="buffer_info", checksum=checksum.hex())


def set_buffer_info(checksum: Checksum, info: dict[str, Any]) -> Call:
    """Add to what is known about a buffer."""
    return _put(_done, type="buffer_info", checksum=checksum.hex(), value=info)


def get_expression(checksum: Checksum, path: list[Any], celltype: str, target_celltype: str) -> Call:
    """Ask for the result of an expression; None if it is not known."""
    key = {"celltype": celltype, "path": list(path), "target_celltype": target_celltype}
    return _get(_or_absent(_checksum), type="expression", checksum=checksum.hex(), **key)


def set_expression(checksum: Checksum, path: list[Any], celltype: str, target_celltype: str, result: Checksum) -> Call:
    """Keep the result of an expression."""
    key = {"celltype": celltype, "path": list(path), "target_celltype": target_celltype}
    return _put(_done, type="expression", checksum=checksum.hex(), value=result.hex(), **key)


def get_rev_expressions(result: Checksum) -> Call:
    """Ask for the expressions with this result."""
    return _get(_or_absent(_list, list), type="rev_expression", checksum=result.hex())


def get_other_side(kind: str, checksum: Checksum, celltype: str, subcelltype: str) -> Call:
    """Ask for the syntactic or semantic checksums of another; `kind` is the type of the request."""
    more = {"celltype": celltype, "subcelltype": subcelltype}
    return _get(_or_absent(_checksums, list), type=kind, checksum=checksum.hex(), **more)


def set_semantic_to_syntactic(
    semantic: Checksum, celltype: str, subcelltype: str, syntactic: Iterable[Checksum]
) -> Call:
    """Add syntactic checksums of a semantic one."""
    more = {"celltype": celltype, "subcelltype": subcelltype, "value": [c.hex() for c in syntactic]}
    return _put(_done, type="semantic_to_syntactic", checksum=semantic.hex(), **more)


def get_bucket_probe(bucket_kind: str, label: str) -> Call:
    """Ask for a probe; None if there is none."""
    return _get(_or_absent(_object), type="bucket_probe", bucket_kind=bucket_kind, label=label)


def set_bucket_probe(
    bucket_kind: str, label: str, bucket_checksum: Checksum, captured_at: str, freshness_tokens: dict[str, Any]
) -> Call:
    """Keep a probe."""
    more = {"bucket_checksum": bucket_checksum.hex(), "captured_at": captured_at, "freshness_tokens": freshness_tokens}
    return _put(_done, type="bucket_probe", bucket_kind=bucket_kind, label=label, **more)


# --- what people look at ----------------------------------------------------------------------


def note_failure(
    transformation: Checksum, *, error: str, stderr: str, exit_status: int | None, command: str, host: str, pid: int
) -> Call:
    """Have a failure noted; False if the server does not do that, as the reference."""
    value = {"error": error, "stderr": stderr, "exit_status": exit_status, "command": command, "host": host, "pid": pid}
    return _put(_noted, type="failure", checksum=transformation.hex(), value=value)


def _noted(got: Answer) -> bool:
    return False if got.status == 400 else _done(got)


# --- claims -----------------------------------------------------------------------------------


def claim(
    transformation: Checksum, holder: dict[str, Any], *, seconds: float, wait: float = 0.0, despite: bool = False
) -> Call:
    """Claim a transformation; (whether the claim is held, the result if it is known). Raises NoClaimsError.

    `wait`: for how many seconds, while another one holds it. `despite`: also if the result is known.
    """
    request: dict[str, Any] = {"type": "claim", "checksum": transformation.hex(), "value": holder, "seconds": seconds}
    if wait:
        request["wait"] = wait
    if despite:
        request["despite"] = True
    return Call("PUT", "/", _claimed, json_body(request), waits=bool(wait))


def _claimed(got: Answer) -> tuple[bool, Checksum | None]:
    if got.status in (400, 404, 405):
        raise NoClaimsError
    if got.status != 200:
        raise _failure(got)
    standing = _object(got)
    result = standing.get("result")
    try:
        return standing.get("claimed") is True, None if result is None else Checksum(result)
    except (TypeError, ValueError):
        raise got.unexpected("a checksum") from None


def renew(transformations: Iterable[Checksum], holder: dict[str, Any], *, seconds: float) -> Call:
    """Prolong claims."""
    names = [transformation.hex() for transformation in transformations]
    return _put(_done, type="renew", checksums=names, value=holder, seconds=seconds)


def release(transformation: Checksum, holder: dict[str, Any]) -> Call:
    """Give a claim back."""
    return _put(_done, type="release", checksum=transformation.hex(), value=holder)


# --- several calls in one ---------------------------------------------------------------------


def batch(calls: Sequence[Call]) -> Call:
    """Make one call of several of the same method; the result is the list of theirs. Raises NoBatchError."""
    method = calls[0].method
    members = b",".join(call.body or b"" for call in calls)

    def answer(got: Answer) -> list[Any]:
        if got.status == 400:
            raise NoBatchError
        if got.status != 200:
            raise _failure(got)
        answers = got.json()
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise got.unexpected(f"a list of {len(calls)} answers")
        return [call.answer(_member(got, value)) for call, value in zip(calls, answers, strict=True)]

    return Call(method, "/", answer, b'{"type":"batch","requests":[%b]}' % members)


def _member(got: Answer, value: Any) -> Answer:
    """Return one of the answers in the answer to a batch."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], int) or not isinstance(value[1], str):
        raise got.unexpected("[status, text]")
    return Answer(value[0], {}, value[1].encode(), got.service, got.url, got.has_token)
