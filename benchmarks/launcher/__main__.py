"""Run the benchmarks of the launcher against a real sshd of this machine, and print one table."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.launcher.cases import Situation, measure
from benchmarks.services.report import publish
from tests.helpers.sshd import missing, new_sshd, signal_quietly, tunnels


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.launcher",
        description="Measure how long it takes to have a service of another machine at hand, and with how many logins.",
        epilog="Needs root and an OpenSSH server; /etc/ssh and the files of the account are not touched.",
    )
    parser.add_argument("--quick", action="store_true", help="each situation once, without the one that takes long")
    parser.add_argument("--json", metavar="FILE", help="also write everything into FILE; - is standard output")
    return parser


def main() -> int:
    """Return 0 if the benchmarks have run, whatever they have found, or cannot be run here."""
    options = build_parser().parse_args()
    if missing():
        print(f"not run: {missing()}", file=sys.stderr)
        return 0
    server = new_sshd()
    with tempfile.TemporaryDirectory(prefix="seamless-launcher-", dir=os.environ.get("BENCHMARK_DIR")) as directory:
        home = Path(directory)
        os.environ.update(HOME=directory, SEAMLESS_SSH=server.command)
        try:
            server.start()
            lines = measure(
                Situation(server, home, home / "work"), 1 if options.quick else 5, patient=not options.quick
            )
        finally:
            for pid in tunnels(home):
                signal_quietly(pid, signal.SIGTERM)
            server.close()
    publish(lines, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
