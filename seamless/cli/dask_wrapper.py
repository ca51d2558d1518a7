"""The command `seamless-dask-wrapper`: a Dask scheduler, and workers on this machine or in jobs of a batch system."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from seamless.cli.common import add_general, make_parser, run_main
from seamless.errors import UsageError

PROG = "seamless-dask-wrapper"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Run a Dask scheduler and its workers, until a signal or the idle timeout ends them.\n"
        "The settings of the queue are the `parameters` of the status file, which a launcher\n"
        "writes before. Whoever has the certificate in it can run code as you.",
        usage="%(prog)s [options] CLUSTER --status-file FILE",
        examples=(
            """echo '{"parameters": {"cores": 1, "memory": "1 GB", "walltime": "1:00:00"}}' > state.json""",
            "seamless-dask-wrapper distributed::LocalCluster --host 127.0.0.1 --status-file state.json",
            "seamless-dask-wrapper dask_jobqueue::SLURMCluster --port-range 60300 60399 --status-file state.json",
        ),
        exit_codes=(
            (0, "ended by a signal, or by --timeout"),
            (1, "the wrapper could not start; the status file says `failed`"),
            (2, "a mistake in the arguments or the parameters"),
        ),
    )
    execution = parser.add_argument_group("Execution")
    execution.add_argument(
        "cluster",
        metavar="CLUSTER",
        help="MODULE::SYMBOL: a class of Dask clusters, a cluster, or a function that makes it",
    )
    network = parser.add_argument_group("Network")
    network.add_argument(
        "--port-range",
        type=int,
        nargs=2,
        metavar=("START", "END"),
        help="where all ports are taken from (default: any)",
    )
    network.add_argument("--host", default="0.0.0.0", help="address to bind (default: %(default)s)")
    access = parser.add_argument_group("Access")
    access.add_argument(
        "--insecure", action="store_true", help="no TLS: everybody who reaches the port can run code as you"
    )
    life = parser.add_argument_group("Life cycle")
    life.add_argument(
        "--status-file",
        metavar="FILE",
        required=True,
        help="JSON file of a launcher: ports, certificate and status go there",
    )
    life.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="stop after so long without clients and unfinished tasks"
    )
    add_general(parser, verbose=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the wrapper; return the exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    from seamless.services.common.options import parse_server_options
    from seamless.services.dask.wrapper import Options, run

    options = parse_server_options(build_parser(), argv)
    if options.timeout is not None and not 0 < options.timeout < float("inf"):
        raise UsageError(f"--timeout {options.timeout:g}: the timeout must be a number of seconds greater than 0")
    return run(
        Options(
            options.cluster,
            status_file=options.status_file,
            port_range=None if options.port_range is None else tuple(options.port_range),
            host=options.host,
            timeout=options.timeout,
            insecure=options.insecure,
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
