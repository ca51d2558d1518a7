"""The hashserver: small and large buffers in both directions, a range, existence, memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.services.client import LargeClient, request, requests_per_second
from benchmarks.services.report import KILOBYTE, MEGABYTE, Line, medians
from benchmarks.services.servers import OURS, Rivals, Server, nginx_server, seamless_server

CONNECTIONS = 4
ROUNDS = 3
FLOOR = "write + fsync + rename + sha256"


class Sizes:
    """How much is measured."""

    def __init__(self, quick: bool):
        self.small_files = 50 if quick else 1000
        self.gets = {"ours": 100, "nginx": 100, "reference": 20} if quick else {
            "ours": 10_000, "nginx": 20_000, "reference": 300,
        }  # fmt: skip
        self.puts = 10 if quick else 300
        self.large = 4 * MEGABYTE if quick else 1000 * MEGABYTE
        self.asked = 500 if quick else 100_000
        self.ranges = 5 if quick else 200
        self.label = "4 MB" if quick else "1 GB"


def run(place: Path, quick: bool, rivals: Rivals) -> list[Line]:
    """Measure in `place`, a directory that is empty."""
    sizes, store = Sizes(quick), place / "buffers"
    store.mkdir()
    (store / ".HASHSERVER_PREFIX").touch()
    names = [_keep(store, b"%d" % number * 32) for number in range(sizes.asked // 2)]
    small = [_keep(store, os.urandom(KILOBYTE)) for _ in range(sizes.small_files)]
    os.sync()
    with contextlib.ExitStack() as stack:
        serve = stack.enter_context
        servers = {"ours": serve(seamless_server(OURS, "hashserver", str(store), "--writable", place=place))}
        if rivals.nginx is not None:
            servers["nginx"] = serve(nginx_server(rivals.nginx, store, place))
        if rivals.reference is not None:
            words = ("hashserver", str(store), "--writable", "--layout", "prefix")
            servers["reference"] = serve(seamless_server(rivals.reference, *words, place=place))
        lines = _small_gets(servers, small, sizes)
        lines += _small_puts(servers, place, sizes)
        lines.append(_existence(servers["ours"], store, names, sizes))
        lines += _large(servers, place, store, sizes)
        ours = servers["ours"]
        lines.append(Line("hashserver, resident", ours.resident(), "MB", goal=100))
        lines.append(Line("hashserver, resident at most", ours.resident(peak=True), "MB"))
    return lines


def _keep(store: Path, data: bytes) -> str:
    name = hashlib.sha256(data).hexdigest()
    path = _path(store, name)
    try:
        path.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir()
        path.write_bytes(data)
    return name


def _path(store: Path, name: str) -> Path:
    return store / name[:2] / name


def _address(server: str, name: str) -> str:
    return f"/{name[:2]}/{name}" if server == "nginx" else f"/{name}"


def _compared(
    subject: str, unit: str, values: dict[str, float], goals: dict[str, float], goal: float | None = None
) -> list[Line]:
    """Return a line for each rival that took part; the first one has the absolute goal too."""
    rivals = [name for name in values if name != "ours"]
    lines = [Line(subject, values["ours"], unit, name, values[name], goals.get(name)) for name in rivals]
    lines = lines or [Line(subject, values["ours"], unit)]
    lines[0].goal = goal
    return lines


def _small_gets(servers: dict[str, Server], names: list[str], sizes: Sizes) -> list[Line]:
    def measure(kind: str) -> Callable[[], float]:
        wanted = [request("GET", _address(kind, name)) for name in names]
        count = sizes.gets[kind]
        requests = (wanted * (count // len(wanted) + 1))[:count]
        requests_per_second(servers[kind].port, requests[: len(wanted)], CONNECTIONS)  # each file is verified once
        return lambda: requests_per_second(servers[kind].port, requests, CONNECTIONS)

    values = medians({kind: measure(kind) for kind in servers}, ROUNDS)
    return _compared(f"GET 1 KB, {CONNECTIONS} connections", "requests/s", values, {"reference": 10}, goal=10_000)


def _small_puts(servers: dict[str, Server], place: Path, sizes: Sizes) -> list[Line]:
    floor = place / "floor"
    floor.mkdir()

    def bodies() -> list[bytes]:
        return [os.urandom(KILOBYTE) for _ in range(sizes.puts)]

    def plain(sync_directory: bool) -> float:
        new = bodies()
        start = time.perf_counter()
        for body in new:
            _write_durably(floor, body, sync_directory)
        return len(new) / (time.perf_counter() - start)

    def through(kind: str, connections: int) -> Callable[[], float]:
        def measure() -> float:
            requests = [request("PUT", "/" + hashlib.sha256(body).hexdigest(), body) for body in bodies()]
            return requests_per_second(servers[kind].port, requests, connections)

        return measure

    one = medians(
        {
            "ours": through("ours", 1),
            FLOOR: lambda: plain(False),
            # As durable as ours: without it, the loss of power may take the name away.
            f"{FLOOR} + fsync of directory": lambda: plain(True),
        },
        ROUNDS,
    )
    lines = _compared("PUT 1 KB, 1 connection", "requests/s", one, {FLOOR: 0.5})
    rivals = [kind for kind in servers if kind != "nginx"]
    many = medians({kind: through(kind, CONNECTIONS) for kind in rivals}, ROUNDS)
    if "reference" in many:
        many["reference (no fsync)"] = many.pop("reference")
    # No goal: ten times a server that leaves its files to the page cache is more than the disk can do.
    return lines + _compared(f"PUT 1 KB, {CONNECTIONS} connections", "requests/s", many, {})


def _write_durably(directory: Path, body: bytes, sync_directory: bool) -> None:
    name = hashlib.sha256(body).hexdigest()
    temporary = f"{directory}/{name}.tmp"
    with open(temporary, "wb", buffering=0) as file:
        file.write(body)
        os.fsync(file.fileno())
    os.rename(temporary, f"{directory}/{name}")
    if sync_directory:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _existence(server: Server, store: Path, present: list[str], sizes: Sizes) -> Line:
    """Ask for as many absent buffers as present ones."""
    absent = [hashlib.sha256(b"absent %d" % number).hexdigest() for number in range(sizes.asked - len(present))]
    asked = [name for pair in zip(present, absent, strict=True) for name in pair]
    paths = [f"{store}/{name[:2]}/{name}" for name in asked]
    question = request("POST", "/has", json.dumps(asked).encode())

    def stats() -> float:
        start = time.perf_counter()
        for path in paths:
            try:
                os.stat(path)
            except FileNotFoundError:
                continue
        return (time.perf_counter() - start) * 1000

    with contextlib.closing(LargeClient(server.port)) as client:
        values = medians({"ours": lambda: client.ask(question)[0] * 1000, "stats": stats}, ROUNDS)
    return Line(f"has, {sizes.asked:,} checksums", values["ours"], "ms", "os.stat of each", values["stats"], 8)


def _large(servers: dict[str, Server], place: Path, store: Path, sizes: Sizes) -> list[Line]:
    source = place / "large.bin"
    digest = hashlib.sha256()
    with open(source, "wb") as file:
        block = os.urandom(MEGABYTE)
        for number in range(sizes.large // MEGABYTE):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    name = digest.hexdigest()
    megabytes = sizes.large / MEGABYTE
    with contextlib.ExitStack() as stack:
        clients = {
            kind: stack.enter_context(contextlib.closing(LargeClient(server.port))) for kind, server in servers.items()
        }
        put = medians(
            {
                FLOOR: lambda: megabytes / _copy_durably(source, place / "floor" / name),
                "ours": lambda: megabytes / _put(clients["ours"], source, store, name),
            },
            rounds=2,
        )
        lines = _compared(f"PUT {sizes.label}", "MB/s", put, {FLOOR: 0.5})
        source.unlink()

        def get(kind: str) -> Callable[[], float]:
            question = request("GET", _address(kind, name))
            return lambda: megabytes / clients[kind].ask(question)[0]

        taking_part = [kind for kind in servers if kind != "reference"]
        lines += _compared(
            f"GET {sizes.label}", "MB/s", medians({k: get(k) for k in taking_part}, ROUNDS), {"nginx": 0.5}
        )
        ranges = {kind: _range(clients[kind], _address(kind, name), sizes.ranges) for kind in taking_part}
        if "reference" in clients:
            ranges["reference"] = _range(clients["reference"], f"/{name}", 1)
        lines += _compared(f"1 byte of {sizes.label}", "ms", ranges, {"reference": 0.1})
    return lines


def _copy_durably(source: Path, target: Path) -> float:
    """Copy, hash, make durable, rename; return the seconds."""
    start = time.perf_counter()
    temporary = target.with_name("temporary")
    digest, piece = hashlib.sha256(), memoryview(bytearray(MEGABYTE))
    with open(source, "rb", buffering=0) as old, open(temporary, "wb", buffering=0) as new:
        while size := old.readinto(piece):
            digest.update(piece[:size])
            new.write(piece[:size])
        os.fsync(new.fileno())
    os.rename(temporary, target)
    seconds = time.perf_counter() - start
    if digest.hexdigest() != target.name:
        raise OSError(f"{source} has changed")
    target.unlink()
    return seconds


def _put(client: LargeClient, source: Path, store: Path, name: str) -> float:
    _path(store, name).unlink(missing_ok=True)
    head = request("PUT", f"/{name}", length=source.stat().st_size)
    return client.ask(head, source)[0]


def _range(client: LargeClient, address: str, count: int) -> float:
    """Return the milliseconds that one byte from the middle takes."""
    question = request("GET", address, headers="Range: bytes=2000000-2000000\r\n")
    return statistics.median(client.ask(question, expected=b"206")[0] for _ in range(count)) * 1000
