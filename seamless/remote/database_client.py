"""The client of a database server, as a store of results: the interface of the store in a file, over HTTP."""

from __future__ import annotations

import contextlib
import os
import threading

from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.remote import database_calls as calls
from seamless.remote.client import Client
from seamless.remote.errors import RemoteError
from seamless.remote.settings import database_max_inflight, is_on
from seamless.util.together import Together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from seamless.remote.claims import RemoteClaims

_BATCH = 1000  # requests in one
_GATHERED = 200  # requests of several threads in one
_PATIENCE = 5.0  # seconds for a request that may as well fail


class DatabaseClient(Client):
    """A result store behind HTTP. Methods raise RemoteError, other StoreErrors, and what they name.

    At most SEAMLESS_DATABASE_MAX_INFLIGHT requests are under way at a time.
    """

    service = "database"

    def __init__(self, url: str | None = None, **more: Any):
        super().__init__(url, **more)
        self._debug = self._debug or is_on("SEAMLESS_DEBUG_REMOTE_DB")
        self._batches = True  # until the server has refused one

    def _renew_locks(self) -> None:
        super()._renew_locks()
        limit = database_max_inflight()
        self._slots = threading.BoundedSemaphore(limit) if limit else None
        # Their items name the client, so that it is not part of a cycle.
        self._lookups = Together(_perform, most=_GATHERED)
        self._keeping = Together(_perform, most=_GATHERED)
        self._claiming = Together(_claim, most=_GATHERED)
        self._claims: RemoteClaims | None = None

    def _slot(self) -> AbstractContextManager[Any]:
        return contextlib.nullcontext() if self._slots is None else self._slots

    def validate(self) -> None:
        """Return when a database answers at the URL. Raises RemoteError."""
        answer = self.perform(calls.protocol())
        if answer[:2] != ["seamless", "database"]:
            raise RemoteError(
                f"{self.name} is not a Seamless database: it calls itself {answer!r}",
                service=self.service,
                url=self.name,
            )

    # --- results ------------------------------------------------------------------------------

    def get_result(self, transformation: Checksum) -> Checksum | None:
        """Return the result, or None if there is none. Threads that ask at the same time share requests."""
        call = calls.get_result(transformation)
        result: Checksum | None = self._lookups.do((self, call)) if self._batches else self.perform(call)
        return result

    def get_results(self, transformations: Sequence[Checksum]) -> list[Checksum | None]:
        """Return the result of each transformation, or None; in few requests where the server takes batches."""
        return self._together([calls.get_result(t) for t in transformations])

    def set_result(self, transformation: Checksum, result: Checksum) -> bool:
        """Keep the result; True if it is now, or was already, the stored one, False if another one stays."""
        return self.set_results([(transformation, result)])[0]

    def set_results(self, items: Iterable[tuple[Checksum, Checksum]]) -> list[bool]:
        """Do what `set_result` does for each pair."""
        self.must_be_writable()
        pairs = list(items)
        kept = self._together([calls.set_result(t, r) for t, r in pairs])
        if self._claims is not None:
            self._claims.settled(pairs)
        # The reference's server says OK whatever it keeps.
        untold = [i for i, answer in enumerate(kept) if answer is None]
        for i, stored in zip(untold, self.get_results([pairs[i][0] for i in untold]), strict=True):
            kept[i] = stored == pairs[i][1]
        return kept

    def delete_result(self, transformation: Checksum) -> bool:
        """Forget the result and its record; False if there was none. The server notes who did so.

        At a server that cannot, as the reference, they move to the irreproducible ones.
        """
        self.must_be_writable()
        try:
            deleted: bool = self.perform(calls.delete_result(transformation))
            return deleted
        except calls.NoDeletionError:
            result = self.get_result(transformation)
        if result is not None:
            self.contest(transformation, result)
        return result is not None

    def get_transformations(self, result: Checksum) -> list[Checksum]:
        """Return the transformations known to give `result`, in the order in which they became known."""
        found: list[Checksum] = self.perform(calls.get_transformations(result))
        return found

    # --- records ------------------------------------------------------------------------------

    def get_record(self, transformation: Checksum) -> dict[str, Any] | None:
        """Return the record of the computation of the stored result, or None."""
        record: dict[str, Any] | None = self.perform(calls.get_record(transformation))
        return record

    def set_record(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool:
        """Keep the record, and the result if it is not yet known; False if there is a different record already.

        Raises MalformedValueError for a record that is not one of this transformation and result, ConflictError if
        another result is stored or the result has been contested.
        """
        from seamless.stores.records import check_record

        self.must_be_writable()
        check_record(record, transformation.hex(), result.hex())
        written: bool = self.perform(calls.set_record(transformation, result, record))
        return written

    def keep(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool:
        """Keep result and record, in one request, which threads share that come at the same time.

        False, and nothing is kept, if another result or record is stored, or the result has been contested. Raises
        MalformedValueError for a record that is not one of this transformation and result.
        """
        from seamless.stores.records import check_record

        self.must_be_writable()
        check_record(record, transformation.hex(), result.hex())
        call = calls.keep(transformation, result, record)
        kept: bool | None = self._keeping.do((self, call)) if self._batches else self.perform(call)
        if kept and self._claims is not None:
            self._claims.settled([(transformation, result)])
        return kept is not False

    def contest(self, transformation: Checksum, result: Checksum) -> None:
        """Say that `result` could not be reproduced: it and its record move to the irreproducible ones.

        Raises UnknownResultError if the transformation has another result, ConflictError if its record has.
        """
        self.must_be_writable()
        self.perform(calls.contest(transformation, result))

    def get_irreproducible(self, transformation: Checksum, result: Checksum | None = None) -> list[dict[str, Any]]:
        """Return the contested results: `checksum`, `result` (hex), `metadata` (the record, "" if there was none)."""
        found: list[dict[str, Any]] = self.perform(calls.get_irreproducible(transformation, result))
        return found

    # --- lesser facts -------------------------------------------------------------------------

    def get_buffer_info(self, checksum: Checksum) -> dict[str, Any] | None:
        """Return what is known about a buffer, or None."""
        info: dict[str, Any] | None = self.perform(calls.get_buffer_info(checksum))
        return info

    def set_buffer_info(self, checksum: Checksum, info: dict[str, Any]) -> None:
        """Add to what is known about a buffer. Raises MalformedValueError."""
        self.must_be_writable()
        self.perform(calls.set_buffer_info(checksum, info))

    def get_expression(
        self, checksum: Checksum, path: list[Any], celltype: str, target_celltype: str
    ) -> Checksum | None:
        """Return the checksum of part `path` of a buffer, converted to `target_celltype`; None if not known."""
        result: Checksum | None = self.perform(calls.get_expression(checksum, path, celltype, target_celltype))
        return result

    def set_expression(
        self, checksum: Checksum, path: list[Any], celltype: str, target_celltype: str, result: Checksum
    ) -> None:
        """Keep the result of an expression. Raises MalformedValueError."""
        self.must_be_writable()
        self.perform(calls.set_expression(checksum, path, celltype, target_celltype, result))

    def get_rev_expressions(self, result: Checksum) -> list[dict[str, Any]]:
        """Return the expressions known to give `result`: checksum, path, celltype, target_celltype, result (hex)."""
        found: list[dict[str, Any]] = self.perform(calls.get_rev_expressions(result))
        return found

    def get_semantic_to_syntactic(self, semantic: Checksum, celltype: str, subcelltype: str) -> list[Checksum]:
        """Return the syntactic checksums of a semantic one."""
        found: list[Checksum] = self.perform(
            calls.get_other_side("semantic_to_syntactic", semantic, celltype, subcelltype)
        )
        return found

    def get_syntactic_to_semantic(self, syntactic: Checksum, celltype: str, subcelltype: str) -> list[Checksum]:
        """Return the semantic checksums of a syntactic one."""
        found: list[Checksum] = self.perform(
            calls.get_other_side("syntactic_to_semantic", syntactic, celltype, subcelltype)
        )
        return found

    def set_semantic_to_syntactic(
        self, semantic: Checksum, celltype: str, subcelltype: str, syntactic: Iterable[Checksum]
    ) -> None:
        """Add syntactic checksums of a semantic one; known ones are ignored."""
        self.must_be_writable()
        self.perform(calls.set_semantic_to_syntactic(semantic, celltype, subcelltype, syntactic))

    def get_bucket_probe(self, bucket_kind: str, label: str) -> dict[str, Any] | None:
        """Return a probe: bucket_kind, label, bucket_checksum (hex), captured_at, freshness_tokens; or None."""
        probe: dict[str, Any] | None = self.perform(calls.get_bucket_probe(bucket_kind, label))
        return probe

    def set_bucket_probe(
        self,
        bucket_kind: str,
        label: str,
        bucket_checksum: Checksum,
        captured_at: str,
        freshness_tokens: dict[str, Any],
    ) -> None:
        """Keep a probe instead of the last one of this kind and label. Raises MalformedValueError."""
        self.must_be_writable()
        self.perform(calls.set_bucket_probe(bucket_kind, label, bucket_checksum, captured_at, freshness_tokens))

    # --- what people look at ------------------------------------------------------------------

    def note_failure(
        self, transformation: Checksum, *, error: str, stderr: bytes, exit_status: int | None, command: str
    ) -> None:
        """Have the server note a failure, as far as that is possible: nothing depends on it."""
        from seamless.stores.failures import TAIL

        if not self.writable:
            return
        call = calls.note_failure(
            transformation,
            error=error[-TAIL:],
            stderr=stderr[-TAIL:].decode(errors="replace"),
            exit_status=exit_status,
            command=command[:TAIL],
            host=os.uname().nodename,
            pid=os.getpid(),
        )
        try:
            self.perform_once(call, _PATIENCE)
        except StoreError as exc:
            import logging

            logging.getLogger(__name__).info("the failure of %s is not noted: %s", transformation, exc)

    # --- claims -------------------------------------------------------------------------------

    def claim(self, transformation: Checksum) -> AbstractContextManager[Any]:
        """Hold the right to execute `transformation`; blocks while another thread or process holds it.

        The thread that holds it may claim it again. Where the server has no claims it is kept within this process.
        Raises RemoteError.
        """
        return self._held_claims().hold_unless(self, transformation, None)

    def claim_unless_known(
        self, transformation: Checksum, accepts: Callable[[Checksum], bool]
    ) -> AbstractContextManager[Checksum | None]:
        """Do what `claim` does, in a request that looks the result up as well.

        Gives the result, and claims nothing, if it is known and `accepts` finds it good; else gives None.
        """
        return self._held_claims().hold_unless(self, transformation, accepts)

    def claim_once(self, call: calls.Call) -> tuple[bool, Checksum | None]:
        """Perform a call of `calls.claim` that does not wait; threads that come at the same time share requests."""
        standing: tuple[bool, Checksum | None] = (
            self._claiming.do((self, call)) if self._batches else self.perform(call)
        )
        return standing

    def _held_claims(self) -> RemoteClaims:
        claims = self._claims
        if claims is None:
            from seamless.remote.claims import RemoteClaims

            with self._location_lock:
                claims = self._claims = self._claims or RemoteClaims(self)
        return claims

    def _together(self, members: list[calls.Call]) -> list[Any]:
        """Perform calls of one method; in batches where the server takes them."""
        results: list[Any] = []
        while len(members) > 1 and self._batches and len(results) < len(members):
            part = members[len(results) : len(results) + _BATCH]
            try:
                results += self.perform(calls.batch(part))
            except calls.NoBatchError:
                self._batches = False
        return results + [self.perform(call) for call in members[len(results) :]]


def _perform(items: list[tuple[DatabaseClient, calls.Call]]) -> list[Any]:
    """Perform calls of several threads."""
    return items[0][0]._together([call for _, call in items])


def _claim(items: list[tuple[DatabaseClient, calls.Call]]) -> list[Any]:
    """Perform claims; one after the other if the server takes none in batches."""
    client, members = items[0][0], [call for _, call in items]
    try:
        return client._together(members)
    except calls.NoClaimsError:
        if len(members) == 1:
            raise
        return [client.perform(call) for call in members]
