"""Functions inside of the reference's upload and download, played by our commands, which follow the same rules."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class DestinationEntryError(Exception):
    """A stored buffer is not what it should be."""


class SeamlessSystemExit(Exception):
    """A command has ended with a message."""


def run(command: str, arguments: Sequence[str], error: type[Exception]) -> None:
    """Run one of our commands; raises `error` with what it prints if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", f"seamless.cli.{command}", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise error(done.stderr)


def resolve_destination_path(
    directory: str, checksum: str, *, create_dirs: bool = True, compression_suffix: str = ""
) -> str:
    """Return where a buffer is in a buffer directory."""
    prefix = checksum[:2] if Path(directory, ".HASHSERVER_PREFIX").exists() else ""
    if create_dirs:
        Path(directory, prefix).mkdir(exist_ok=True)
    return os.path.join(directory, prefix, checksum + compression_suffix)


def register_file(
    filename: str, *, destination_folder: str, transfer_mode: str = "copy", existing_entry_policy: str = "skip"
) -> None:
    """Store a file in a buffer directory."""
    how = [f"--{transfer_mode}", f"--dest-{existing_entry_policy}", "--yes"]
    run("upload", ["--destination", destination_folder, *how, filename], DestinationEntryError)


def register_buffer(buffer: bytes, *, destination_folder: str, transfer_mode: str, existing_entry_policy: str) -> None:
    """Store bytes that are no file, for which there is nothing to link to."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "buffer").write_bytes(buffer)
        register_file(
            f"{directory}/buffer", destination_folder=destination_folder, existing_entry_policy=existing_entry_policy
        )


def download(
    files: Sequence[str], directories: Sequence[str], *, checksum_dict: Mapping[str, str], source_directory: str,
    transfer_mode: str, existing_entry_policy: str, **limits: Any,
) -> None:  # fmt: skip
    """Write files from a buffer directory."""
    assert not directories
    how = [f"--{transfer_mode}", f"--dest-{existing_entry_policy}", "--yes"]
    for name in files:
        arguments = ["--destination", source_directory, *how, checksum_dict[name], "--output", name]
        run("download", arguments, SeamlessSystemExit)


def main_of(command: str) -> dict[str, Any]:
    """Return the names of the module of a command: its function, and what it calls with a message."""
    names: dict[str, Any] = {"seamless_config": __import__("seamless_config"), "err": None}

    def main(arguments: Sequence[str]) -> None:
        try:
            run(command, arguments, SeamlessSystemExit)
        except SeamlessSystemExit as exc:
            sys.modules[f"seamless_transformer.cmd.api.{command}"].err(str(exc))

    return {**names, "_main": main}


# module -> its names
STAND_INS: dict[str, Callable[[], dict[str, Any]]] = {
    "seamless_transformer.cmd.register": lambda: {
        "DestinationEntryError": DestinationEntryError,
        "_resolve_destination_path": resolve_destination_path,
        "register_buffer": register_buffer,
        "register_file": register_file,
    },
    "seamless_transformer.cmd.download": lambda: {"download": download},
    "seamless_transformer.cmd.exceptions": lambda: {"SeamlessSystemExit": SeamlessSystemExit},
    "seamless_transformer.cmd.api.upload": lambda: main_of("upload"),
    "seamless_transformer.cmd.api.download": lambda: main_of("download"),
}
