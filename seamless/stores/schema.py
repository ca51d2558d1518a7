"""The tables of seamless.db, and the check that a file has them. All DDL is here.

The tables of the reference have its names, columns and types; those in `OURS` are ours alone.
"""

from __future__ import annotations

TABLES: dict[str, str] = {
    "transformation": """CREATE TABLE IF NOT EXISTS "transformation" (
 "checksum" CHAR(64) NOT NULL PRIMARY KEY,
 "result" CHAR(64) NOT NULL
)""",
    "rev_transformation": """CREATE TABLE IF NOT EXISTS "rev_transformation" (
 "id" INTEGER NOT NULL PRIMARY KEY,
 "result" CHAR(64) NOT NULL,
 "checksum" CHAR(64) NOT NULL
)""",
    "buffer_info": """CREATE TABLE IF NOT EXISTS "buffer_info" (
 "checksum" CHAR(64) NOT NULL PRIMARY KEY,
 "buffer_info" TEXT NOT NULL
)""",
    "syntactic_to_semantic": """CREATE TABLE IF NOT EXISTS "syntactic_to_semantic" (
 "syntactic" CHAR(64) NOT NULL,
 "celltype" TEXT NOT NULL,
 "subcelltype" TEXT NOT NULL,
 "semantic" CHAR(64) NOT NULL,
 PRIMARY KEY ("syntactic", "celltype", "subcelltype", "semantic")
)""",
    "expression": """CREATE TABLE IF NOT EXISTS "expression" (
 "input_checksum" CHAR(64) NOT NULL,
 "path" VARCHAR(100) NOT NULL,
 "celltype" VARCHAR(20) NOT NULL,
 "target_celltype" VARCHAR(20) NOT NULL,
 "validator" CHAR(64),
 "validator_language" VARCHAR(20),
 "result" CHAR(64) NOT NULL,
 PRIMARY KEY ("input_checksum", "path", "celltype", "target_celltype")
)""",
    "meta_data": """CREATE TABLE IF NOT EXISTS "meta_data" (
 "checksum" CHAR(64) NOT NULL PRIMARY KEY,
 "result" CHAR(64) NOT NULL,
 "metadata" TEXT NOT NULL
)""",
    "bucket_probe": """CREATE TABLE IF NOT EXISTS "bucket_probe" (
 "bucket_kind" VARCHAR(20) NOT NULL,
 "label" TEXT NOT NULL,
 "bucket_checksum" CHAR(64) NOT NULL,
 "captured_at" TEXT NOT NULL,
 "freshness_tokens" TEXT NOT NULL,
 PRIMARY KEY ("bucket_kind", "label")
)""",
    "irreproducible_transformation": """CREATE TABLE IF NOT EXISTS "irreproducible_transformation" (
 "id" INTEGER NOT NULL PRIMARY KEY,
 "result" CHAR(64) NOT NULL,
 "checksum" CHAR(64) NOT NULL,
 "metadata" TEXT NOT NULL
)""",
    # A second, different result of a transformation: when it was seen, and from where.
    "transformation_conflict": """CREATE TABLE IF NOT EXISTS "transformation_conflict" (
 "checksum" CHAR(64) NOT NULL,
 "result" CHAR(64) NOT NULL,
 "seen_at" TEXT NOT NULL,
 "client" TEXT NOT NULL,
 PRIMARY KEY ("checksum", "result")
)""",
    # A result that was deleted: when, and by whom.
    "transformation_deletion": """CREATE TABLE IF NOT EXISTS "transformation_deletion" (
 "id" INTEGER NOT NULL PRIMARY KEY,
 "checksum" CHAR(64) NOT NULL,
 "result" CHAR(64) NOT NULL,
 "deleted_at" TEXT NOT NULL,
 "client" TEXT NOT NULL
)""",
}

OURS = frozenset({"transformation_conflict", "transformation_deletion"})  # a file need not have them

INDICES: tuple[tuple[str, str], ...] = (
    ("transformation", "result"),
    ("rev_transformation", "result"),
    ("syntactic_to_semantic", "syntactic"),
    ("syntactic_to_semantic", "semantic"),
    ("expression", "result"),
    ("meta_data", "result"),
    ("bucket_probe", "bucket_checksum"),
    ("irreproducible_transformation", "result"),
    ("irreproducible_transformation", "checksum"),
)

_META_DATA_COLUMNS = ["checksum", "result", "metadata"]
_LEGACY_COLUMNS = ["checksum", "metadata"]


def statements() -> list[str]:
    """Return the statements that create what is missing."""
    indices = [f'CREATE INDEX IF NOT EXISTS "{t}_{c}" ON "{t}" ("{c}")' for t, c in INDICES]
    return [*TABLES.values(), *indices]


def meta_data_problem(columns: list[str]) -> str | None:
    """Tell what is wrong with the columns of `meta_data`: None, "legacy" (drop it if empty) or "foreign"."""
    if columns in ([], _META_DATA_COLUMNS):
        return None
    return "legacy" if columns == _LEGACY_COLUMNS else "foreign"
