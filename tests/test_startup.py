"""What is loaded before it is needed: nothing heavy by `import seamless`, nothing heavy by a cached command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunCli

HEAVY = {
    "numpy", "asyncio", "aiohttp", "dask", "distributed", "fastapi", "uvicorn", "yaml", "IPython", "tree_sitter",
    "tree_sitter_bash", "tqdm", "multiprocessing", "concurrent.futures", "backports.zstd", "psutil", "cffi",
}  # fmt: skip

# Also too dear for a command that only prints what it has.
NOT_FOR_A_HIT = {
    "subprocess", "tempfile", "shutil", "logging", "inspect", "urllib", "ssl", "typing", "_hashlib", "ctypes",
}  # fmt: skip


def loaded_by(statement: str, cwd: Path) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after `statement`."""
    probe = f"{statement}\nimport sys\nprint(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=cwd, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import seamless",
        "import seamless; seamless.Checksum; seamless.CacheMissError",
        "import seamless.transformer",
        "from seamless.transformer import direct, delayed",
        "import seamless.config",
        "import seamless.cli.run",
        "import seamless.cli.checksum",
    ],
)
def test_an_import_loads_nothing_heavy(statement: str, tmp_path: Path) -> None:
    bare = loaded_by("pass", tmp_path)
    assert (loaded_by(statement, tmp_path) - bare) & HEAVY == set()


def loaded_by_command(run_cli: RunCli, argv: list[str], cache: Path) -> tuple[set[str], bytes]:
    """Return the modules that a run of seamless-run in its own interpreter has loaded, and its standard output."""
    report = cache / "modules.txt"
    # The command may end the process without running exit handlers: what it has loaded is noted in os._exit.
    program = (
        "import os, sys\n"
        "def _report(main):\n"
        "    leave = os._exit\n"
        "    def note(status=0):\n"
        f"        open({str(report)!r}, 'w').write('\\n'.join(sys.modules))\n"
        "        leave(status)\n"
        "    os._exit = note\n"
        "    try:\n"
        "        status = main()\n"
        "    except SystemExit as end:\n"
        "        status = end.code\n"
        "    sys.stdout.flush()\n"
        "    note(status or 0)\n"
        "from seamless.cli.run import main\n"
        f"sys.argv = {['seamless-run', *argv]!r}\n"
        "_report(main)\n"
    )
    done = run_cli([sys.executable, "-c", program], env={"SEAMLESS_CACHE": str(cache)})
    assert done.returncode == 0, done.stderr.decode()
    return set(report.read_text().split()), done.stdout


@pytest.mark.parametrize(
    "argv", [["cat", "a.txt"], ["-c", "cat a.txt | tac"], ["tac a.txt > out.txt"]], ids=["words", "pipeline", "target"]
)
def test_a_cached_command_loads_nothing_heavy(argv: list[str], tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "a.txt").write_text("alpha\nbeta\n")
    cache = tmp_path / "cache"
    first = run_cli(["seamless-run", *argv], env={"SEAMLESS_CACHE": str(cache)})
    assert first.returncode == 0, first.stderr.decode()
    bare = loaded_by("pass", tmp_path)
    loaded, printed = loaded_by_command(run_cli, argv, cache)
    assert printed == first.stdout
    assert (loaded - bare) & (HEAVY | NOT_FOR_A_HIT) == set()


def test_the_help_of_a_command_loads_nothing_heavy(tmp_path: Path, run_cli: RunCli) -> None:
    bare = loaded_by("pass", tmp_path)
    cache = tmp_path / "cache"
    cache.mkdir()
    loaded, printed = loaded_by_command(run_cli, ["--help"], cache)
    assert b"usage: seamless-run" in printed
    assert (loaded - bare) & HEAVY == set()
