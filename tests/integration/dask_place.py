"""A user whose steps are executed on a daskserver: the same place as for services, with another cluster."""

from __future__ import annotations

import random
from pathlib import Path

from tests.integration.place import Place

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

    def __init__(self, root: Path, *, kind: str = "local", queue: str = "", workers: int = 2, **more: str):
        super().__init__(root)
        first = random.randrange(20000, 32000, 200)
        self.more = more
        (self.home / ".seamless" / "clusters.yaml").write_text(
            f"ws:\n  type: {kind}\n"
            + (f"  workers: {workers}\n" if kind == "local" else "")
            + ("  memory_per_core_property_name: not_applicable\n" if kind == "oar" else "")
            + f"  default_queue: main\n  queues:\n    main: {{memory: 600MB, walltime: '00:20:00'{queue}}}\n"
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
