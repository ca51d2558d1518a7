"""Take what one thread writes to `sys.stdout` and `sys.stderr`, while other threads write on untouched.

Decides by context variable: code that runs in a copy of the context (asyncio tasks) is captured, too;
new threads and the output of child processes are not.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Literal

from seamless.transformer.outcome import OutputHandler

LIMIT = 64 * 1024  # bytes kept from the beginning, and as many from the end

Stream = Literal["stdout", "stderr"]


class _Bounded:
    """The first and the last bytes of a stream. Thread-safe."""

    __slots__ = ("_dropped", "_head", "_limit", "_lock", "_tail")

    def __init__(self, limit: int) -> None:
        self._head, self._tail = bytearray(), bytearray()
        self._limit, self._dropped = limit, 0
        self._lock = threading.Lock()

    def add(self, data: bytes) -> None:
        with self._lock:
            room = self._limit - len(self._head)
            if room > 0:
                self._head += data[:room]
                data = data[room:]
            if data:
                self._tail += data
                if len(self._tail) > 2 * self._limit:
                    self._trim()

    def _trim(self) -> None:
        excess = len(self._tail) - self._limit
        if excess > 0:
            self._dropped += excess
            del self._tail[:excess]

    def content(self) -> bytes:
        with self._lock:
            self._trim()
            note = b"\n[... %d bytes left out ...]\n" % self._dropped if self._dropped else b""
            return bytes(self._head) + note + bytes(self._tail)


class capture:
    """Capture the output of this context: `with capture() as out: ...`, then `out.stdout`, `out.stderr` (bytes).

    `on_output` is called with each piece as it is written. Of more than `2 * limit` bytes the middle is left
    out. In nested captures the innermost takes all.
    """

    __slots__ = ("_on_output", "_streams", "_token")

    def __init__(self, on_output: OutputHandler | None = None, limit: int = LIMIT) -> None:
        self._on_output = on_output
        self._streams = {"stdout": _Bounded(limit), "stderr": _Bounded(limit)}
        self._token: Token[capture | None] | None = None

    @property
    def stdout(self) -> bytes:
        return self._streams["stdout"].content()

    @property
    def stderr(self) -> bytes:
        return self._streams["stderr"].content()

    def add(self, stream: Stream, data: bytes) -> None:
        """Take a piece of output."""
        if data:
            self._streams[stream].add(data)
            if self._on_output is not None:
                self._on_output(stream, data)

    def __enter__(self) -> capture:
        _installation.acquire()
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._token is not None
        _current.reset(self._token)
        _installation.release()


_current: ContextVar[capture | None] = ContextVar("seamless_capture", default=None)


class _Binary:
    """The `.buffer` of a captured stream."""

    def __init__(self, proxy: _Proxy) -> None:
        self._proxy = proxy

    def write(self, data: Any) -> int:
        taker = _current.get()
        if taker is None:
            written: int = self._proxy.original.buffer.write(data)
            return written
        data = bytes(data)
        taker.add(self._proxy.stream, data)
        return len(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._proxy.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._proxy.original.buffer, name)


class _Proxy:
    """Stands in for `sys.stdout` or `sys.stderr`; whoever is not captured reaches the original."""

    def __init__(self, stream: Stream, original: Any) -> None:
        self.stream, self.original = stream, original
        self.buffer = _Binary(self)

    def write(self, text: str) -> int:
        taker = _current.get()
        if taker is None:
            if self.original is None:  # no console
                return len(text)
            written: int = self.original.write(text)
            return written
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        # File names from the system may contain undecodable bytes; other lone surrogates become escapes.
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = text.encode("utf-8", "backslashreplace")
        taker.add(self.stream, data)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        # Also when captured: whoever forks flushes first, so that the child does not inherit what is pending.
        if self.original is not None:
            self.original.flush()

    def isatty(self) -> bool:
        return _current.get() is None and self.original is not None and bool(self.original.isatty())

    def reconfigure(self, **options: Any) -> None:
        if _current.get() is None:
            self.original.reconfigure(**options)

    def close(self) -> None:
        if _current.get() is None:
            self.original.close()

    @property
    def encoding(self) -> str:
        return "utf-8" if _current.get() is not None else self.original.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _Installation:
    """Puts the proxies in place while any capture is active."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active = 0
        self._proxies: tuple[_Proxy, _Proxy] | None = None

    def acquire(self) -> None:
        with self._lock:
            self._active += 1
            if self._active == 1:
                # New ones each time: somebody may still hold, and have wrapped, those of before.
                self._proxies = _Proxy("stdout", sys.stdout), _Proxy("stderr", sys.stderr)
                sys.stdout, sys.stderr = self._proxies  # type: ignore[assignment]
            return

    def release(self) -> None:
        with self._lock:
            self._active -= 1
            if self._active or self._proxies is None:
                return
            out, err = self._proxies
            # Whoever has replaced the streams meanwhile keeps his own.
            if sys.stdout is out:  # type: ignore[comparison-overlap]
                sys.stdout = out.original
            if sys.stderr is err:  # type: ignore[comparison-overlap]
                sys.stderr = err.original
            self._proxies = None


_installation = _Installation()


def live_output() -> OutputHandler:
    """Return a handler that shows output at once where the caller's own output goes (also in a notebook)."""
    import codecs

    decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}

    def show(stream: Stream, data: bytes) -> None:
        target = getattr(sys, stream)
        if isinstance(target, _Proxy):
            target = target.original
        if target is not None:
            target.write(decoders[stream].decode(data))
            target.flush()

    return show


def _after_fork() -> None:
    """A forked child has no way to give its output to the capture of its parent: it goes to the original streams."""
    _current.set(None)


os.register_at_fork(after_in_child=_after_fork)
