"""The options that the commands around the store share, and what they may not be combined with."""

from __future__ import annotations

import argparse

from seamless.cli.storage import Storage, open_directory, open_storage
from seamless.errors import UsageError

STORAGE_TEXT = (
    "The services that seamless.yaml and seamless.profile.yaml of the current\n"
    "directory name; without them, or with $SEAMLESS_CACHE, the cache directory:\n"
    "$SEAMLESS_CACHE, else $XDG_CACHE_HOME/seamless, else ~/.cache/seamless."
)


def add_scope(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add `--project` and `--stage`; return their group (Storage)."""
    group = parser.add_argument_group("Storage", STORAGE_TEXT)
    group.add_argument("--project", metavar="P[:SUB]", default="", help="the part of this project (default: top level)")
    group.add_argument("--stage", metavar="S[:SUB]", default="", help="... and this stage (default: none)")
    return group


def add_storage(
    parser: argparse.ArgumentParser, *, destination: str, copy: str, hard: str, symbolic: str, incremental: str
) -> argparse._ArgumentGroup:
    """Add which store is meant, and how files and buffers share their bytes; return the group (Storage)."""
    group = add_scope(parser)
    group.add_argument("--destination", metavar="DIR", help=destination)
    _add_modes(group, copy=copy, hard=hard, symbolic=symbolic, incremental=incremental)
    return group


def _add_modes(group: argparse._ArgumentGroup, *, copy: str, hard: str, symbolic: str, incremental: str) -> None:
    """Add `--copy`, `--hardlink`, `--symlink` and `--incremental`, each with its explanation."""
    modes = group.add_mutually_exclusive_group()
    modes.add_argument("--copy", dest="mode", action="store_const", const="copy", help=copy)
    modes.add_argument("--hardlink", dest="mode", action="store_const", const="hardlink", help=hard)
    modes.add_argument("--symlink", "--softlink", dest="mode", action="store_const", const="symlink", help=symbolic)
    group.add_argument("--incremental", action="store_true", help=incremental)


def add_policies(group: argparse._ArgumentGroup, *, skip: str, verify: str, repair: str) -> None:
    """Add `--dest-skip`, `--dest-verify` and `--dest-repair`, each with its explanation; no `policy` is None."""
    policies = group.add_mutually_exclusive_group()
    for name, text in (("skip", skip), ("verify", verify), ("repair", repair)):
        policies.add_argument(f"--dest-{name}", dest="policy", action="store_const", const=name, help=text)


def add_confirmation(group: argparse._ArgumentGroup, *, yes: str, no: str, json: str) -> None:
    """Add `-y` and `-n`; `confirm` is None, "yes" or "no". And `--json`."""
    group.add_argument("-y", "--yes", dest="confirm", action="store_const", const="yes", help=yes)
    group.add_argument("-n", "--no", dest="confirm", action="store_const", const="no", help=no)
    group.add_argument("--json", action="store_true", help=json)


def check_storage(options: argparse.Namespace) -> None:
    """Raise UsageError for options that contradict or lack each other."""
    if options.incremental and options.mode != "hardlink":
        raise UsageError("--incremental requires --hardlink")
    if options.destination is not None:
        for name in ("project", "stage"):
            if getattr(options, name):
                raise UsageError(
                    f"--destination cannot be combined with --{name}: it names the buffer directory itself"
                )


def storage_of(options: argparse.Namespace, *, writable: bool) -> Storage:
    """Open what the options name. Raises StoreError, UsageError."""
    if options.destination is not None:
        return open_directory(options.destination, writable=writable)
    return open_storage(project=options.project, stage=options.stage, local=True)


def names_with_options_first(
    parser: argparse.ArgumentParser, argv: list[str], metavar: str
) -> tuple[argparse.Namespace, list[str]]:
    """Return the options and the names after them; `--` ends the options.

    The positional argument of the parser must be called `paths` and take the REMAINDER. Raises UsageError.
    """
    position = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_args(argv[:position])
    for word in options.paths:
        if word.startswith("-") and word != "-":
            raise UsageError(f"Option {word} must be specified before upload targets")
    names = [*options.paths, *argv[position + 1 :]]
    if not names:
        parser.error(f"the following arguments are required: {metavar}")
    return options, names
