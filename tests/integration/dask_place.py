"""A user whose steps are executed on a daskserver: the same place as for services, with another cluster."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab import OAR_USER

from tests.integration.place import Place, eventually, words_of

# Steps that tell where they were executed, and leave a line in a file for each execution.
STEPS = """
import os
import seamless, seamless.config
from seamless.transformer import delayed, direct, parallel

def noted(counter):
    with open(counter, "a") as f:
        f.write("ran\\n")

@delayed
def where(x, counter):
    import os
    with open(counter, "a") as f:
        f.write("ran\\n")
    return {"x": x * 2, "pid": os.getpid(), "job": os.environ.get("SLURM_JOB_ID") or os.environ.get("OAR_JOB_ID")}

seamless.config.init()
"""


class DaskPlace(Place):
    """A place with a daskserver. `queue`: further fields of its queue; `kind`: local, slurm or oar."""

    def __init__(
        self, root: Path, *, kind: str = "local", queue: str = "", workers: int = 2, memory: str = "600MB", **more: str
    ):
        super().__init__(root)
        first = random.randrange(20000, 32000, 200)
        self.more = more
        (self.home / ".seamless" / "clusters.yaml").write_text(
            f"ws:\n  type: {kind}\n"
            + (f"  workers: {workers}\n" if kind == "local" else "")
            + ("  memory_per_core_property_name: not_applicable\n" if kind == "oar" else "")
            + f"  default_queue: main\n  queues:\n    main: {{memory: {memory}, walltime: '00:20:00'{queue}}}\n"
            "  frontends:\n"
            f"    - hashserver: {{bufferdir: {self.store}}}\n"
            f"      database: {{database_dir: {self.store}}}\n"
            "      daskserver: {network_interface: 127.0.0.1, "
            f"port_start: {first}, port_end: {first + 199}}}\n"
        )
        self.write("seamless.profile.yaml", "- cluster: ws\n- execution: remote\n- persistent: true\n")

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(**{**self.more, **more})

    def program(self, text: str, name: str = "program.py") -> Path:
        """Write a program that begins with the steps."""
        return self.write(name, STEPS + text)


class OarPlace(DaskPlace):
    """A place of the user who may submit jobs to OAR, below a directory that everybody can read.

    `software`: the environment that this user works in.
    """

    def __init__(self, root: Path, software: Path, *, queue: str, memory: str = "600MB"):
        super().__init__(root, kind="oar", queue=queue, memory=memory)
        self.software = software
        self.hand_over()

    def hand_over(self) -> None:
        """Give all that is there to the user of OAR."""
        subprocess.run(["chown", "-R", OAR_USER, self.root], check=True)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project directory, which everybody may read."""
        path = super().write(name, text)
        path.chmod(0o644)
        return path

    def environment(self, **more: str) -> dict[str, str]:
        path = {"PATH": f"{self.software}/bin:/usr/bin:/bin", "USER": OAR_USER}
        return super().environment(**{**path, **more})

    def start(self, *command: Any, **more: str) -> subprocess.Popen[str]:
        """Start a command as that user; the interpreter is the one of the software."""
        words = ["python" if word == sys.executable else str(word) for word in command]
        variables = [f"{name}={value}" for name, value in self.environment(**more).items()]
        return subprocess.Popen(
            ["runuser", "-u", OAR_USER, "--", "env", "-i", *variables, *words], cwd=self.work, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


def end(place: Place) -> None:
    """End the services in order, so that workers and jobs end with them."""
    wrappers = place.pids("daskserver")
    for pid in wrappers:
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not any(words_of(pid) for pid in wrappers))
    place.kill()
