"""What the headers of a request ask for: content codings, ranges, conditions. Pure functions."""

from __future__ import annotations

from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

from seamless.services.common.asgi import Scope, header

CODINGS = {"": b"", ".zst": b"zstd", ".gz": b"gzip"}  # by form
_FORMS = {"identity": "", "zstd": ".zst", "x-zstd": ".zst", "gzip": ".gz", "x-gzip": ".gz"}


@lru_cache(256)
def accepted_forms(accept: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the forms that the client takes, in its order, and those that must be decompressed for it.

    The plain form is always taken in the end. `accept` is the value of Accept-Encoding.

    >>> accepted_forms(None)
    (('', '.zst', '.gz'), ())
    >>> accepted_forms("gzip;q=0.5, zstd")
    (('.zst', '.gz', ''), ())
    >>> accepted_forms("identity")
    (('',), ('.zst', '.gz'))
    """
    if accept is None:
        return tuple(CODINGS), ()
    quality: dict[str, float] = {}
    others = 0.0
    for item in accept.split(","):
        name, _, rest = item.partition(";")
        name = name.strip().lower()
        if name == "*":
            others = _quality(rest)
        elif name in _FORMS:
            quality.setdefault(_FORMS[name], _quality(rest))
    if others:
        for form in CODINGS:
            quality.setdefault(form, others)
    taken = [form for form in sorted(quality, key=lambda f: -quality[f]) if quality[form] > 0]
    if "" not in taken:
        taken.append("")
    return tuple(taken), tuple(form for form in CODINGS if form not in taken)


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def body_form(encoding: bytes | None) -> str:
    """Return the form that a body with this Content-Encoding is stored as; unknown ones count as plain."""
    return _FORMS.get(encoding.decode("latin-1").strip().lower(), "") if encoding else ""


class RangeNotSatisfiableError(Exception):
    """The range begins behind the end of the representation (HTTP 416)."""


def byte_range(value: bytes | None, size: int) -> tuple[int, int] | None:
    """Return (start, end) of the one range asked for, end exclusive; None to send everything.

    What is malformed, or asks for several ranges, gives everything. Raises RangeNotSatisfiableError.

    >>> byte_range(b"bytes=1-3", 6), byte_range(b"bytes=-2", 6), byte_range(b"bytes=4-", 6)
    ((1, 4), (4, 6), (4, 6))
    """
    if value is None:
        return None
    unit, _, spec = value.decode("latin-1").partition("=")
    first, dash, last = (part.strip() for part in spec.partition("-"))
    if unit.strip().lower() != "bytes" or not dash or not _is_number(first) or not _is_number(last):
        return None
    if not first:
        if not last:
            return None
        start, end = max(0, size - int(last)), size
        if not int(last):
            raise RangeNotSatisfiableError
    else:
        start = int(first)
        end = min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeNotSatisfiableError
    return start, end


def _is_number(text: str) -> bool:
    """Tell whether `text` is empty or a number that can be converted in no time."""
    return not text or (text.isascii() and text.isdigit() and len(text) < 20)


def not_modified(scope: Scope, checksum: str) -> bool:
    """Tell whether the client has this buffer already, by If-None-Match. In which coding does not matter."""
    value = header(scope, b"if-none-match")
    if value is None:
        return False
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in value.decode("latin-1").split(",")]
    return "*" in tags or any(tag.partition("-")[0] == checksum for tag in tags)


def range_applies(scope: Scope, etag: bytes, mtime: float) -> bool:
    """Tell whether If-Range, if there is one, names this representation."""
    value = header(scope, b"if-range")
    if value is None:
        return True
    if value.strip().startswith((b'"', b"W/")):
        return value.strip() == etag
    try:
        return parsedate_to_datetime(value.decode("latin-1")).timestamp() == int(mtime)
    except (ValueError, TypeError, OverflowError):
        return False


@lru_cache(4096)
def http_date(seconds: int) -> bytes:
    """Return a time as HTTP writes it."""
    return formatdate(seconds, usegmt=True).encode()


def etag_of(checksum: str, form: str) -> bytes:
    """Return the strong entity tag of a form: other bytes, another tag."""
    return f'"{checksum}"'.encode() if not form else f'"{checksum}-'.encode() + CODINGS[form] + b'"'
