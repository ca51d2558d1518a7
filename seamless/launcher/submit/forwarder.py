"""The process beside a service in an image: executes the commands of a batch system that the service calls.

`forwarder RUNTIME exec WORD...` makes a socket that only this user can reach, binds it into the image, and becomes the
runtime; its child answers on the socket, and ends with the runtime, whatever ends that.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import NoReturn

from seamless.launcher.programs import find_program
from seamless.launcher.submit import NOT_FOUND, PROGRAMS, REFUSED, SHIM_DIRECTORY, SOCKET_VARIABLE, frames

_LOOK_SECONDS = 0.5  # between two looks at the parent, on kernels that do not tell when it ends


def main(argv: Sequence[str]) -> NoReturn:
    """Become the runtime, with a process beside it."""
    # Short, because the name of a socket is limited; /tmp is in the image under the same name.
    directory = tempfile.mkdtemp(prefix="seamless-submit-", dir="/tmp")
    listener = socket.socket(socket.AF_UNIX)
    path = os.path.join(directory, "socket")
    listener.bind(path)
    listener.listen(16)
    runtime = os.getpid()
    if os.fork() == 0:
        status = 1
        try:
            Forwarder(listener, directory).serve(runtime)
            status = 0
        finally:
            os._exit(status)
    prefix = f"{os.path.basename(argv[0]).upper()}ENV_"
    environment = {**os.environ, f"{prefix}{SOCKET_VARIABLE}": path, f"{prefix}PREPEND_PATH": SHIM_DIRECTORY}
    try:
        os.execve(argv[0], [*argv[:2], "--bind", f"{directory}:{directory}", *argv[2:]], environment)
    except OSError as exc:
        sys.exit(f"cannot execute {argv[0]}: {exc.strerror}")


class Forwarder:
    """Answers on a socket until a process ends; then removes the socket and stops what it has started."""

    def __init__(self, listener: socket.socket, directory: str):
        self.listener, self.directory = listener, directory
        self.running: set[subprocess.Popen[bytes]] = set()
        self.lock = threading.Lock()

    def serve(self, runtime: int) -> None:
        """Answer until the process `runtime`, the parent of this one, has ended."""
        # A service that is told to end still cancels its jobs: this process ends after it. Handlers, because what is
        # ignored would be ignored in the commands too.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: None)
        os.chdir("/")
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        watched = _watch(runtime)
        if watched is not None:
            poll.register(watched, select.POLLIN)
        try:
            while os.getppid() == runtime:
                ready = poll.poll(None if watched is not None else _LOOK_SECONDS * 1000)
                if any(fd == self.listener.fileno() for fd, _ in ready):
                    connection, _ = self.listener.accept()
                    threading.Thread(target=self._answer, args=(connection,), daemon=True).start()
                elif ready:
                    break
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
            with self.lock:
                for process in self.running:
                    process.terminate()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                Call(connection, self).run()
            except (OSError, ValueError) as exc:
                print(f"submit: {exc}", file=sys.stderr, flush=True)


def _watch(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, where the kernel has such."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


class Call:
    """One command: what is asked for, executed, and its output sent while it appears."""

    def __init__(self, connection: socket.socket, forwarder: Forwarder):
        self.connection, self.forwarder = connection, forwarder
        self.sending = threading.Lock()

    def run(self) -> None:
        """Execute what is asked for, and answer. Raises OSError if the caller has gone, ValueError."""
        if _user_of(self.connection) != os.getuid():
            raise frames.BadFrame("another user has reached the socket")
        frame = frames.receive(self.connection)
        if frame is None:
            return
        if frame[0] != frames.CALL:
            raise frames.BadFrame(f"expected a call, found {frame[0]!r}")
        call = json.loads(frame[1])
        if not isinstance(call, dict) or not isinstance(call.get("arguments"), list):
            raise frames.BadFrame("expected a call with its arguments")
        process = self._start(call.get("program"), [str(word) for word in call["arguments"]], str(call.get("cwd")))
        if process is None:
            return
        with self.forwarder.lock:
            self.forwarder.running.add(process)
        try:
            self._accompany(process)
        finally:
            with self.forwarder.lock:
                self.forwarder.running.discard(process)

    def _start(self, program: object, arguments: list[str], cwd: str) -> subprocess.Popen[bytes] | None:
        if not isinstance(program, str) or program not in PROGRAMS:
            self._refuse(REFUSED, f"{str(program)[:100]!r} is none of {', '.join(PROGRAMS)}")
            return None
        path = find_program(program)
        if path is None:
            self._refuse(NOT_FOUND, f"there is no command {program} on PATH outside of the image")
            return None
        try:
            return subprocess.Popen(
                [path, *arguments],
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # signals to the service are not for them
            )
        except (OSError, ValueError) as exc:
            self._refuse(REFUSED, f"cannot execute {program} in {cwd} outside of the image: {exc}")
            return None

    def _refuse(self, status: int, text: str) -> None:
        self._send(frames.ERROR, f"{text}\n".encode(errors="backslashreplace"))
        self._send(frames.STATUS, str(status).encode())

    def _accompany(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None and process.stderr is not None
        outputs = [
            threading.Thread(target=self._pass_on, args=(kind, stream.fileno()), daemon=True)
            for kind, stream in ((frames.OUTPUT, process.stdout), (frames.ERROR, process.stderr))
        ]
        threading.Thread(target=self._feed, args=(process,), daemon=True).start()
        for thread in outputs:
            thread.start()
        status = process.wait()
        for thread in outputs:
            thread.join()
        self._send(frames.STATUS, str(status if status >= 0 else 128 - status).encode())

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        """Hand input in; a caller that has gone before the end takes the command with it."""
        assert process.stdin is not None
        try:
            while (frame := frames.receive(self.connection)) is not None:
                if frame[0] == frames.END:
                    process.stdin.close()
                elif not process.stdin.closed:
                    try:
                        process.stdin.write(frame[1])
                        process.stdin.flush()
                    except BrokenPipeError:
                        process.stdin = open(os.devnull, "wb")  # it wants no more
        except (OSError, ValueError):
            process.terminate()
            return
        process.terminate()

    def _pass_on(self, kind: bytes, fd: int) -> None:
        while piece := os.read(fd, frames.PIECE_BYTES):
            try:
                self._send(kind, piece)
            except OSError:
                continue  # nobody listens; the command is being stopped, or at its end

    def _send(self, kind: bytes, data: bytes) -> None:
        with self.sending:
            frames.send(self.connection, kind, data)


def _user_of(connection: socket.socket) -> int:
    """Return the user of the other side."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


if __name__ == "__main__":
    main(sys.argv[1:])
