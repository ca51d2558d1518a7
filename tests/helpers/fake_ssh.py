"""A stand-in for ssh: a host is a home directory of this machine, and its commands run here."""

from __future__ import annotations

import sys
from pathlib import Path

_PROGRAM = """#!/bin/sh
echo "$*" | tr '\\n' ' ' >> '{log}'
echo >> '{log}'
while [ "$1" != "--" ]; do
  case "$1" in -O) exit 0 ;; esac
  shift
done
home='{hosts}'/"$2"
if [ ! -d "$home" ]; then
  echo "ssh: connect to host $2 port 22: No route to host" >&2
  exit 255
fi
[ -f "$home/path" ] && PATH=$(cat "$home/path") || PATH='{scripts}':/usr/bin:/bin
cd "$home" && exec env -i HOME="$home" PATH="$PATH" LC_ALL=C.UTF-8 /bin/sh -c "$3"
"""


class FakeSsh:
    """Machines that are reached by `program`; others are out of reach. `calls` are the command lines of ssh."""

    def __init__(self, root: Path):
        self.hosts, self.log, self.program = root / "hosts", root / "ssh-calls", root / "fake-ssh"
        self.hosts.mkdir()
        scripts = Path(sys.executable).parent
        self.program.write_text(_PROGRAM.format(hosts=self.hosts, log=self.log, scripts=scripts))
        self.program.chmod(0o755)

    def add(self, host: str) -> Path:
        """Make a machine; return its home directory."""
        home = self.hosts / host
        home.mkdir()
        return home

    def set_path(self, host: str, *directories: Path | str) -> None:
        """Set where commands are found there (default: beside the interpreter of the tests, and the system's)."""
        (self.hosts / host / "path").write_text(":".join(map(str, directories)))

    @property
    def calls(self) -> list[str]:
        """The words of each call of ssh."""
        return self.log.read_text().splitlines() if self.log.exists() else []
