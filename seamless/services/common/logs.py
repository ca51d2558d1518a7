"""Log lines of a server on stderr, as text or as one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

_ESCAPED = {i: f"\\x{i:02x}" for i in range(32) if i not in (9, 10)} | {127: "\\x7f"}


class _Text(logging.Formatter):
    """Time, level, text. Control characters from requests do not reach the terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).translate(_ESCAPED).replace("\n", "\\n")


class _Json(logging.Formatter):
    """One object a line: time, level, logger, message, and the fields of an access."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def configure_logging(style: str) -> None:
    """Send the log of this process to stderr, in the style `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("seamless").setLevel(logging.INFO)
