"""The process that executes one step in another environment: a program, started in the directory of the request.

`request.json` and `inputs/` say what to do; `results/` and `answer.json` are made. Needs Python 3.10, and of the
packages of Seamless only what the step itself needs.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.checksum import Checksum


class FileBuffers:
    """The buffers as the step sees them: files of the request, files of the answer."""

    def __init__(self, directory: str) -> None:
        self._inputs, self._results = os.path.join(directory, "inputs"), os.path.join(directory, "results")

    def view(self, checksum: Checksum) -> bytes:
        """Return the bytes. Raises CacheMissError."""
        from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS
        from seamless.errors import CacheMissError

        name = checksum.hex()
        for place in (self._inputs, self._results):
            try:
                with open(os.path.join(place, name), "rb") as f:
                    return f.read()
            except FileNotFoundError:
                continue
        if name in TRIVIAL_CHECKSUMS:
            return TRIVIAL_CHECKSUMS[name]
        raise CacheMissError(checksum)

    read = view

    def require(self, checksum: Checksum) -> None:
        """Raise CacheMissError unless the buffer can be had."""
        self.view(checksum)

    def add(self, data: bytes) -> Checksum:
        """Keep a buffer as a file."""
        from seamless.checksum import Checksum

        checksum = Checksum.of(data)
        with open(os.path.join(self._results, checksum.hex()), "wb") as f:
            f.write(data)
        return checksum

    def add_value(self, value: Any, celltype: str) -> Checksum:
        """Keep the buffer of a value. Raises what `serialize` raises."""
        from seamless.celltypes import serialize

        return self.add(serialize(value, celltype))

    def add_file(self, path: str) -> Checksum:
        """Keep the bytes of a file."""
        with open(path, "rb") as f:
            return self.add(f.read())


def answer_for(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Execute the step; return `result` and what is to be recorded, or `error`."""
    from seamless.checksum import Checksum
    from seamless.errors import CacheMissError, TransformationError
    from seamless.session import session
    from seamless.transformer.environments.commands import found
    from seamless.transformer.execute import execute
    from seamless.transformer.outcome import Envelope

    session.activate((), ())  # nested steps are executed here, and kept by nobody
    transformation = request["transformation"]
    origin = request["origin"]
    envelope = Envelope(
        meta=request["meta"],
        pins=request["pins"],
        name=request["name"],
        origin=None if origin is None else (origin[0], origin[1]),
        record=request["record"],
    )
    buffers: Any = FileBuffers(directory)
    try:
        found(request["which"])
        # The identity is the business of who has asked.
        done = execute(transformation, Checksum(bytes(32)), envelope, buffers, on_output=pass_on)
    except (TransformationError, CacheMissError, ImportError, ValueError, TypeError) as exc:
        text = str(exc) if isinstance(exc, TransformationError) else f"{type(exc).__name__}: {exc}"
        return {"error": text if text.endswith("\n") else text + "\n"}
    return {"result": done.result.hex(), "compilation": done.compilation, "site": done.site}


def pass_on(stream: str, data: bytes) -> None:
    """Have what the step prints go to who has started this process, as it appears."""
    while data:
        data = data[os.write(1 if stream == "stdout" else 2, data) :]


def main() -> int:
    """Serve the request in the current directory."""
    directory = os.getcwd()
    if sys.version_info < (3, 10):  # noqa: UP036  it is the Python of somebody else's environment
        answer = {"error": f"the environment has Python {sys.version.split()[0]}, and at least 3.10 is needed\n"}
    else:
        # Only the package itself: everything else is that of the environment.
        here = os.path.realpath(os.path.dirname(__file__))
        sys.path[:] = [os.path.join(directory, "site"), *(p for p in sys.path if os.path.realpath(p) != here)]
        if not os.access(os.path.expanduser("~"), os.W_OK):  # in a container
            os.environ.setdefault("SEAMLESS_BUILD_CACHE", os.path.join(directory, "tmp", "build"))
        with open(os.path.join(directory, "request.json"), encoding="utf-8") as f:
            request = json.load(f)
        work = os.path.join(directory, "work")
        os.mkdir(work)
        os.chdir(work)
        answer = answer_for(request, directory)
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.path.join(directory, "answer.json"), "w", encoding="utf-8") as f:
        json.dump(answer, f, default=str)
    return 0


if __name__ == "__main__":
    sys.exit(main())
