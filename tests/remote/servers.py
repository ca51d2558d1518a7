"""Small servers in threads of the test: one that says what a script says, and two that speak as the services do."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[socket.socket], None]


@contextmanager
def scripted(*scripts: Script) -> Iterator[str]:
    """Run a server whose n-th connection is handled by the n-th script, the last one repeatedly; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def run() -> None:
        count = 0
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    scripts[min(count, len(scripts) - 1)](connection)
                except OSError:  # the client has gone
                    pass
            count += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def read_head(connection: socket.socket) -> bytes:
    """Receive up to the end of a request's head."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("the client has closed the connection")
        data += piece
    return data


def says(*pieces: bytes) -> Script:
    """Answer one request with these bytes, then close the connection."""

    def script(connection: socket.socket) -> None:
        read_head(connection)
        for piece in pieces:
            connection.sendall(piece)

    return script


def answer(body: bytes = b"", status: str = "200 OK", headers: str = "") -> bytes:
    """Return a complete answer."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def hang_up(connection: socket.socket) -> None:
    """Close the connection after the request, without a word."""
    read_head(connection)


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the service of its server, after the faults that are to come first."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeService

    def handle_any(self) -> None:
        service = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service.requests.append((self.command, self.path))
        service.headers.append(dict(self.headers))
        if service.faults:
            status, headers, content = service.faults.pop(0)
        elif (
            service.token
            and self.path != "/healthcheck"
            and (self.headers.get("Authorization") != f"Bearer {service.token}")
        ):
            status, headers, content = 401, {}, b"ERROR: Unauthorized"
        elif self.path == "/healthcheck":
            status, headers, content = 200, {}, b"OK"
        else:
            status, headers, content = service.answer(self.command, self.path, dict(self.headers), body)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = handle_any

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


Reply = tuple[int, dict[str, str], bytes]


class FakeService(ThreadingHTTPServer):
    """A service on a free port. `faults`: answers that come first, (status, headers, body); status 0 hangs up."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Reply] = []
        self.token: str | None = None
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def hang_up_all(self) -> None:
        """Close every open connection, as a server does with those that are idle."""
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already
                pass
        self._connections.clear()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have gone."""

    def stop(self) -> None:
        """End the service and its connections."""
        self.shutdown()
        self._thread.join(10)
        self.hang_up_all()
        self.server_close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        raise NotImplementedError


def as_json(value: Any, status: int = 200) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


class FakeHashserver(FakeService):
    """A hashserver in memory. `posts`: whether lists may be asked for with POST, which the reference does not know.

    `groups`: whether it takes several buffers in one request, as ours does.
    """

    def __init__(self, port: int = 0, *, posts: bool = True, writable: bool = True, groups: bool = False) -> None:
        self.stored: dict[str, bytes] = {}
        self.encoded: dict[str, tuple[str, bytes]] = {}
        self.promised: set[str] = set()
        self.posts, self.writable, self.groups = posts, writable, groups
        self.grouped: list[int] = []  # how many buffers each request had
        self.max_batch = 10_000
        super().__init__(port)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        name = path[1:]
        if name in ("has", "has-now", "buffer-length"):
            if method not in ("GET", "POST") or (method == "POST" and not self.posts):
                return as_json({"detail": "Method Not Allowed"}, 405)
            return self.listed(name, json.loads(body))
        if path.startswith("/promise/") and self.writable:
            self.promised.add(path[9:])
            return as_json({"checksum": path[9:], "expires_in": 600.0}, 202)
        if path == "/buffers" and self.groups:
            return self.put_group(body)
        if len(name) != 64:
            return as_json({"detail": "Not Found"}, 404)
        if method == "PUT":
            return self.put(name, headers, body)
        if name in self.encoded:
            encoding, data = self.encoded[name]
            return 200, {"Content-Encoding": encoding}, data
        if name not in self.stored:
            return 404, {}, b"Not found"
        return 200, {"Content-Type": "application/octet-stream"}, self.stored[name]

    def listed(self, name: str, checksums: list[str]) -> Reply:
        if len(checksums) > self.max_batch:
            return as_json({"message": "too many"}, 413)
        if name == "buffer-length":
            return as_json([True if c in self.promised else len(self.stored.get(c, b"")) for c in checksums])
        known = set(self.stored) | set(self.encoded) | (self.promised if name == "has" else set())
        return as_json([c in known for c in checksums])

    def put_group(self, body: bytes) -> Reply:
        statuses = []
        while body:
            end = 40 + int.from_bytes(body[32:40], "big")
            statuses.append(self.put(body[:32].hex(), {}, body[40:end])[0])
            body = body[end:]
        self.grouped.append(len(statuses))
        return as_json(statuses)

    def put(self, name: str, headers: dict[str, str], body: bytes) -> Reply:
        if not self.writable:
            return as_json({"detail": "Method Not Allowed"}, 405)
        if name in self.stored:
            return 201, {}, b""
        if headers.get("Content-Encoding") == "zstd":
            from seamless.compression_utils import decompress_bytes

            self.encoded[name] = ("zstd", body)
            body = decompress_bytes(body, ".zst")
        if hashlib.sha256(body).hexdigest() != name:
            return 400, {}, b"Incorrect checksum"
        self.stored[name] = body
        return 200, {}, b"OK"


class FakeDatabase(FakeService):
    """A database in memory. `batches`: whether it takes several requests in one, which the reference does not."""

    def __init__(self, port: int = 0, *, batches: bool = True) -> None:
        self.results: dict[str, str] = {}
        self.records: dict[str, Any] = {}
        self.batches = batches
        self.asked: list[dict[str, Any]] = []
        super().__init__(port)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        request = json.loads(body) if body else {}
        if request.get("type") == "batch" and self.batches:
            return as_json([list(self.one(method, member)) for member in request["requests"]])
        status, text = self.one(method, request)
        return status, {}, text.encode()

    def one(self, method: str, request: dict[str, Any]) -> tuple[int, str]:
        self.asked.append(request)
        kind, name = request.get("type"), request.get("checksum", "")
        table: dict[str, Any] = {"transformation": self.results, "metadata": self.records}.get(str(kind), {})
        if kind == "protocol":
            return 200, '["seamless", "database", "2.2"]'
        if kind == "rev_transformations":
            return 200, json.dumps([tf for tf, result in self.results.items() for _ in (1, 2) if result == name])
        if kind == "irreproducible" and method == "PUT":
            if self.results.get(name) not in (None, request["result"]):
                return 404, "ERROR: Transformation does not have the irreproducible result"
            self.results.pop(name, None)
            return 200, "OK"
        if kind not in ("transformation", "metadata"):
            return 400, "ERROR: Malformed request"
        if method == "GET":
            if name not in table:
                return 404, "ERROR: Unknown key"
            return 200, table[name] if isinstance(table[name], str) else json.dumps(table[name])
        if kind == "metadata" and table.get(name, request["value"]) != request["value"]:
            return 409, "ERROR: Execution record already exists with different metadata"
        table.setdefault(name, request["value"])  # the first one stays, and yet the answer is OK
        return 200, "OK"
