"""The man pages agree with the parsers, and formatters accept them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "make_man.py"
PAGES = sorted((ROOT / "share" / "man" / "man1").glob("*.1"))


def shown(path: Path) -> str:
    """Return a page as a terminal without any markup shows it."""
    argv = ["groff", "-man", "-Tascii", "-P-cbou", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_the_pages_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_has_a_page() -> None:
    section = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]\n")[2].partition("\n[")[0]
    commands = {line.partition(" = ")[0] for line in section.splitlines() if " = " in line}
    assert "seamless-run" in commands
    assert {path.stem for path in PAGES} == commands


def test_groff_accepts_every_page_without_a_warning(require) -> None:
    require("groff", "groff is not installed")
    done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", *PAGES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_mandoc_accepts_every_page(require) -> None:
    require("mandoc", "mandoc is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "error", *PAGES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "text",
    [
        "seamless-run [options] -c 'whole bash command line'",
        "--var N=V",
        "OPTIONS\n   Command and inputs",
        "EXAMPLES\n           seamless-run cat a.txt ",
        "seamless-run 'sort a.txt > b.txt'",
        "125    Seamless itself failed, before or after the command",
        "seamless-queue(1)",
        "~/.cache/seamless",
    ],
)
def test_a_page_shows_what_the_help_says(text: str, require) -> None:
    require("groff", "groff is not installed")
    assert text in shown(ROOT / "share" / "man" / "man1" / "seamless-run.1")


def test_signs_of_roff_in_a_text_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch, require) -> None:
    require("groff", "groff is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import make_man

    line = r".not a \request 'quoted' `x` a-b ~ ^ \fBbold\fR"
    argv = ["groff", "-man", "-Tascii", "-P-cbou"]
    source = f".TH x 1\n{make_man.verbatim(line)}"
    done = subprocess.run(argv, input=source, capture_output=True, text=True, check=True)
    assert line in done.stdout
