"""What is called in an image under the name of a command of the batch system: has it executed outside.

Arguments, input and directory go out; output and exit status come back.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

from seamless.launcher.submit import NOT_FOUND, PROGRAMS, SOCKET_VARIABLE, frames

_SCRIPT = """\
#!{python} -I
from seamless.launcher.submit.shim import main
raise SystemExit(main())
"""


def main() -> int:
    """Have the command outside executed that this one is called as; return its exit status."""
    program = os.path.basename(sys.argv[0])
    path = os.environ.get(SOCKET_VARIABLE)
    if not path:
        return _complain(program, "this image has no batch system; a service with 'submit: proxy' is lent that outside")
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            call = {"program": program, "arguments": sys.argv[1:], "cwd": os.getcwd()}
            frames.send(connection, frames.CALL, json.dumps(call).encode())
            threading.Thread(target=_send_input, args=(connection,), daemon=True).start()
            status = _receive(connection)
        except OSError as exc:
            return _complain(program, f"the launcher outside of this image cannot be reached: {exc}")
    if status is None:
        return _complain(program, "the launcher outside of this image has ended")
    return status


def _complain(program: str, text: str) -> int:
    print(f"{program}: {text}", file=sys.stderr)
    return NOT_FOUND


def _send_input(connection: socket.socket) -> None:
    try:
        while not os.isatty(0) and (piece := os.read(0, frames.PIECE_BYTES)):
            frames.send(connection, frames.INPUT, piece)
        frames.send(connection, frames.END)
    except OSError:
        return  # the command has ended without reading it all


def _receive(connection: socket.socket) -> int | None:
    """Pass output on; return the exit status, or None if none comes."""
    while (frame := frames.receive(connection)) is not None:
        kind, data = frame
        if kind == frames.STATUS:
            return int(data)
        _write_all(1 if kind == frames.OUTPUT else 2, data)
    return None


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def install(directory: str) -> None:
    """Write one executable for each command, which this Python runs."""
    os.makedirs(directory, exist_ok=True)
    for program in PROGRAMS:
        path = os.path.join(directory, program)
        with open(path, "w", encoding="utf-8") as f:
            f.write(_SCRIPT.format(python=sys.executable))
        os.chmod(path, 0o755)


if __name__ == "__main__":
    install(sys.argv[1])
