"""The lesser tables of seamless.db: facts about buffers, expressions, syntactic and semantic checksums, probes.

Each fact may be computed again, so the last one written stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from seamless.checksum import Checksum
from seamless.stores.connection import Database, rows
from seamless.stores.errors import MalformedValueError
from seamless.stores.values import sound_checksum, sound_checksums, sound_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any, TypeVar

    T = TypeVar("T")

PROBE_KINDS = ("node", "environment", "node_env", "queue", "queue_node")
_CELLTYPES_WITH_PATHS = ("mixed", "plain", "binary")
_PATH_LIMIT, _CELLTYPE_LIMIT = 100, 20  # characters


class BufferFacts:
    """The part of ResultDatabase that is not about results."""

    _database: Database
    _read: Callable[..., Any]

    def get_buffer_info(self, checksum: Checksum) -> dict[str, Any] | None:
        """Return what is known about a buffer, or None."""
        info: dict[str, Any] | None = self._read(lambda c: _buffer_info(c, checksum.hex()), None)
        return info

    def set_buffer_info(self, checksum: Checksum, info: dict[str, Any]) -> None:
        """Add to what is known about a buffer. Raises MalformedValueError."""
        import json

        _check_buffer_info(info)
        name = checksum.hex()

        def write(connection: Connection) -> None:
            known = _buffer_info(connection, name)
            merged = {**(known or {}), **info}
            if merged == known:
                return
            text = json.dumps(merged, sort_keys=True, indent=2)
            connection.execute("INSERT OR REPLACE INTO buffer_info (checksum, buffer_info) VALUES (?, ?)", (name, text))

        self._database.transaction(write)

    def get_expression(
        self, checksum: Checksum, path: list[Any], celltype: str, target_celltype: str
    ) -> Checksum | None:
        """Return the checksum of part `path` of a buffer, converted to `target_celltype`; None if not known."""
        key = (checksum.hex(), _path_text(path, celltype, target_celltype), celltype, target_celltype)
        query = (
            "SELECT result FROM expression "
            "WHERE input_checksum = ? AND path = ? AND celltype = ? AND target_celltype = ?"
        )
        found = self._read(lambda c: c.execute(query, key).fetchone(), None)
        return None if found is None else sound_checksum(found[0], "expression.result")

    def set_expression(
        self, checksum: Checksum, path: list[Any], celltype: str, target_celltype: str, result: Checksum
    ) -> None:
        """Keep the result of an expression. Raises MalformedValueError."""
        values = (checksum.hex(), _path_text(path, celltype, target_celltype), celltype, target_celltype, result.hex())
        self._write(
            "INSERT OR REPLACE INTO expression (input_checksum, path, celltype, target_celltype, result) "
            "VALUES (?, ?, ?, ?, ?)",
            [values],
        )

    def get_rev_expressions(self, result: Checksum) -> list[dict[str, Any]]:
        """Return the expressions known to give `result`: checksum, path, celltype, target_celltype, result (hex)."""
        query = "SELECT input_checksum, path, celltype, target_celltype FROM expression WHERE result = ? ORDER BY rowid"
        found = self._read(lambda c: rows(c, query, [result.hex()]), [])
        return [
            {"checksum": c, "path": path, "celltype": s, "target_celltype": t, "result": result.hex()}
            for c, p, s, t in found
            if sound_checksum(c, "expression.input_checksum") is not None
            and (path := sound_json(p, list, "expression.path")) is not None
            and isinstance(s, str)
            and isinstance(t, str)
        ]

    def get_semantic_to_syntactic(self, semantic: Checksum, celltype: str, subcelltype: str) -> list[Checksum]:
        """Return the syntactic checksums of a semantic one."""
        return self._other_side("syntactic", "semantic", semantic, celltype, subcelltype)

    def get_syntactic_to_semantic(self, syntactic: Checksum, celltype: str, subcelltype: str) -> list[Checksum]:
        """Return the semantic checksums of a syntactic one."""
        return self._other_side("semantic", "syntactic", syntactic, celltype, subcelltype)

    def set_semantic_to_syntactic(
        self, semantic: Checksum, celltype: str, subcelltype: str, syntactic: Iterable[Checksum]
    ) -> None:
        """Add syntactic checksums of a semantic one; known ones are ignored. Raises MalformedValueError."""
        for text in (celltype, subcelltype):
            if not isinstance(text, str):
                raise MalformedValueError(f"a celltype is a string, not {type(text).__name__}")
        self._write(
            "INSERT OR IGNORE INTO syntactic_to_semantic (syntactic, celltype, subcelltype, semantic) "
            "VALUES (?, ?, ?, ?)",
            [(s.hex(), celltype, subcelltype, semantic.hex()) for s in syntactic],
        )

    def get_bucket_probe(self, bucket_kind: str, label: str) -> dict[str, Any] | None:
        """Return a probe: bucket_kind, label, bucket_checksum (hex), captured_at, freshness_tokens; or None."""
        query = (
            "SELECT bucket_checksum, captured_at, freshness_tokens FROM bucket_probe "
            "WHERE bucket_kind = ? AND label = ?"
        )
        found = self._read(lambda c: c.execute(query, (bucket_kind, label)).fetchone(), None)
        if found is None or sound_checksum(found[0], "bucket_probe.bucket_checksum") is None:
            return None
        tokens = sound_json(found[2], dict, "bucket_probe.freshness_tokens")
        if tokens is None or not isinstance(found[1], str):
            return None
        probe = {"bucket_kind": bucket_kind, "label": label, "bucket_checksum": found[0], "captured_at": found[1]}
        return {**probe, "freshness_tokens": tokens}

    def set_bucket_probe(
        self,
        bucket_kind: str,
        label: str,
        bucket_checksum: Checksum,
        captured_at: str,
        freshness_tokens: dict[str, Any],
    ) -> None:
        """Keep a probe instead of the last one of this kind and label. Raises MalformedValueError."""
        import json

        if bucket_kind not in PROBE_KINDS:
            raise MalformedValueError(f"bucket_kind is {bucket_kind!r}, expected one of {', '.join(PROBE_KINDS)}")
        for what, text in (("label", label), ("captured_at", captured_at)):
            if not isinstance(text, str) or not text:
                raise MalformedValueError(f"{what} is {text!r}, expected a non-empty string")
        if not isinstance(freshness_tokens, dict):
            raise MalformedValueError(f"freshness_tokens is {freshness_tokens!r}, expected a dict")
        values = (bucket_kind, label, bucket_checksum.hex(), captured_at, json.dumps(freshness_tokens))
        self._write(
            "INSERT OR REPLACE INTO bucket_probe "
            "(bucket_kind, label, bucket_checksum, captured_at, freshness_tokens) VALUES (?, ?, ?, ?, ?)",
            [values],
        )

    def _write(self, statement: str, values: list[tuple[Any, ...]]) -> None:
        self._database.transaction(lambda c: c.executemany(statement, values))

    def _other_side(
        self, wanted: str, given: str, checksum: Checksum, celltype: str, subcelltype: str
    ) -> list[Checksum]:
        query = (
            f"SELECT {wanted} FROM syntactic_to_semantic "
            f"WHERE {given} = ? AND celltype = ? AND subcelltype = ? ORDER BY rowid"
        )
        found = self._read(lambda c: rows(c, query, (checksum.hex(), celltype, subcelltype)), [])
        return sound_checksums(found, f"syntactic_to_semantic.{wanted}")


def _buffer_info(connection: Connection, name: str) -> dict[str, Any] | None:
    found = connection.execute("SELECT buffer_info FROM buffer_info WHERE checksum = ?", (name,)).fetchone()
    if found is None:
        return None
    info: dict[str, Any] | None = sound_json(found[0], dict, "buffer_info.buffer_info")
    return info


def _check_buffer_info(info: Any) -> None:
    if not isinstance(info, dict):
        raise MalformedValueError(f"buffer info is a dict, not {type(info).__name__}")
    length = info.get("length", 0)
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise MalformedValueError(f"buffer info: length is {length!r}, expected a non-negative integer")
    for key, value in info.items():
        if key.startswith("is_") and not isinstance(value, bool):
            raise MalformedValueError(f"buffer info: {key} is {value!r}, expected true or false")


def _path_text(path: list[Any], celltype: str, target_celltype: str) -> str:
    """Return the JSON text of a path, as it is stored. Raises MalformedValueError for what may not be stored."""
    import json

    for name in (celltype, target_celltype):
        if not isinstance(name, str) or not 0 < len(name) <= _CELLTYPE_LIMIT:
            raise MalformedValueError(f"expression: celltype is {name!r}, expected 1 to {_CELLTYPE_LIMIT} characters")
    if not isinstance(path, (list, tuple)):
        raise MalformedValueError(f"expression: path is {path!r}, expected a list")
    if path and celltype not in _CELLTYPES_WITH_PATHS:
        raise MalformedValueError(f"expression: a buffer of celltype {celltype} has no parts, but path is {path!r}")
    text = json.dumps(list(path))
    if len(text) > _PATH_LIMIT:
        raise MalformedValueError(f"expression: path has {len(text)} characters as JSON, at most {_PATH_LIMIT} allowed")
    return text
