"""The command `seamless-service-resolve`: print where a service would be and how it would be started."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial

from seamless.cli.common import OK, run_main
from seamless.cli.service.common import Target, finished, selected, service_parser
from seamless.cli.service.output import print_json
from seamless.launcher.paths import log_path

PROG = "seamless-service-resolve"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Print as one line of JSON what a service is: its key, host, directory, log and\n"
        "command. Nothing is started or contacted. Project files are read only with\n"
        "--workdir; the files that define clusters always are.\n\n"
        "What is printed is what this version computes, and may be otherwise in another\n"
        "version: call the command every time, do not keep its answers.",
        examples=("seamless-service-resolve --service hashserver --cluster local --project thesis",),
        required=True,
        otherwise="What is not given is none, with --workdir as configured there; the mode is rw.",
        default_workdir="no project files are read",
        exit_codes=(
            (0, "done"),
            (1, "--project SEAMLESS_CACHE, but nothing tells where the cache directory is"),
            (2, "a mistake in the arguments or in the configuration"),
        ),
    )
    return finished(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    target = selected(options, project_files=options.workdir is not None)
    launch = target.launch
    meta = launch["meta"]
    names = ("service", "cluster", "mode", "project", "subproject", "stage", "substage", "queue", "fingerprint")
    ports = [launch["port_start"], launch["port_end"]] if "port_start" in launch else None
    print_json(
        {
            "key": target.key,
            "ssh_hostname": target.host,
            "host": None if target.host is None else target.checked.hostname,
            "workdir": launch["workdir"],
            "log_path": _log_path(target),
            "port_range": ports,
            "command": launch["command"],
            **{name: meta[name] for name in names},
        }
    )
    return OK


def _log_path(target: Target) -> str:
    """Return the log on the machine of the service; $REMOTE_HTTP_LAUNCHER_DIR counts on this one only."""
    if target.host is None and os.environ.get("REMOTE_HTTP_LAUNCHER_DIR"):
        return log_path(target.key)
    return f"~/.remote-http-launcher/server/{target.key}.log"


if __name__ == "__main__":
    raise SystemExit(main())
