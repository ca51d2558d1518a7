"""The completion files agree with the parsers, and bash and fish complete with them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "make_completions.py"
BASH = ROOT / "seamless" / "cli" / "completions" / "seamless.bash"
ZSH = ROOT / "seamless" / "cli" / "completions" / "_seamless"
FISH = ROOT / "seamless" / "cli" / "completions" / "fish"


def complete(cwd: Path, function: str, *words: str) -> list[str]:
    """Return what bash offers for the last of `words`."""
    code = (
        f"source {shlex.quote(str(BASH))}; compopt() {{ :; }}\n"
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}\n"
        f'{function}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-uc", code], cwd=cwd, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return sorted(line for line in done.stdout.splitlines() if line)


def test_the_files_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_of_the_project_file_is_completed() -> None:
    section = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]\n")[2].partition("\n[")[0]
    commands = [line.partition(" = ")[0] for line in section.splitlines() if " = " in line]
    assert "seamless-checksum" in commands
    bash, zsh = BASH.read_text(), ZSH.read_text()
    assert [c for c in commands if f" -F _{c.replace('-', '_')} {c}\n" not in bash] == []
    assert [c for c in commands if f"\n  {c})\n" not in zsh or c not in zsh.splitlines()[0].split()] == []
    assert sorted(path.name for path in FISH.iterdir()) == sorted(f"{command}.fish" for command in commands)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["seamless-checksum", "--ch"], ["--check"]),
        (["seamless-checksum", "a.txt", "--js"], ["--json"]),
        (["seamless-checksum", "--", "--js"], []),
        (["seamless-checksum-index", ""], ["dir", "other dir"]),
        (["seamless-checksum-index", "--", "o"], ["other dir"]),
        (["seamless-run", "--undo", "--pu"], ["--purge"]),
        (["seamless-run", "--var", "a=1", "--pu"], ["--purge"]),
        (["seamless-run", "--var", "=", "a", "--pu"], ["--purge"]),
        (["seamless-run", "-w", "d"], ["dir"]),
        (["seamless-run", "--write-job", "=", "d"], ["dir"]),
        (["seamless-run", "--dry", "="], ["quiet", "show"]),
        (["seamless-run", "--dry", "=", "s"], ["show"]),
        (["seamless-run", "--var", "--pu"], []),
        (["seamless-run", "ls", "--pu"], []),
        (["seamless-run", "--", "--pu"], []),
        (["seamless", "checksum-"], ["checksum-file", "checksum-index"]),
        (["seamless", "help", "fing"], ["fingertip"]),
        (["seamless", "checksum", "a.txt", "--js"], ["--json"]),
        (["seamless", "checksum-index", "o"], ["other dir"]),
        (["seamless", "run", "--undo", "--pu"], ["--purge"]),
        (["seamless", "nothing", "--pu"], []),
    ],
)
def test_bash_offers_what_fits(tmp_path: Path, words: list[str], offered: list[str]) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "other dir").mkdir()
    (tmp_path / "file").write_text("")
    assert complete(tmp_path, "_" + words[0].replace("-", "_"), *words) == offered


@pytest.mark.parametrize("words", [["seamless-run", "prin"], ["seamless-run", "-v", "--var", "a=1", "prin"]])
def test_bash_offers_commands_where_the_command_begins(tmp_path: Path, words: list[str]) -> None:
    assert "printf" in complete(tmp_path, "_seamless_run", *words)


def test_bash_registers_the_commands(tmp_path: Path) -> None:
    code = f"source {shlex.quote(str(BASH))}; complete -p seamless-run seamless-checksum-file"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert "-F _seamless_run seamless-run" in done.stdout
    assert "-F _seamless_checksum_file seamless-checksum-file" in done.stdout


def test_zsh_reads_its_file(require) -> None:
    require("zsh", "zsh is not installed")
    subprocess.run(["zsh", "-n", ZSH], check=True)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("seamless-checksum --ch", ["--check"]),
        ("seamless-checksum a.txt --js", ["--json"]),
        ("seamless-checksum -- --js", []),
        ("seamless-checksum fi", ["file"]),
        ("seamless-checksum-index ", ["dir/", "other dir/"]),
        ("seamless-run --undo --pu", ["--purge"]),
        ("seamless-run --var a=1 --pu", ["--purge"]),
        ("seamless-run -w d", ["dir/"]),
        ("seamless-run --write-job=d", ["--write-job=dir/"]),
        ("seamless-run -i fi", ["file"]),
        ("seamless-run --dry=", ["--dry=quiet", "--dry=show"]),
        ("seamless-run tool --pu", []),
        ("seamless-run -- tool --pu", []),
        ("seamless-run --var a=1 -v seamless-checksum --che", ["--check"]),
        ("seamless-run too", ["tool"]),
        ("seamless checksum-", ["checksum-file", "checksum-index"]),
        ("seamless help fing", ["fingertip"]),
        ("seamless checksum a.txt --js", ["--json"]),
        ("seamless checksum-index o", ["other dir/"]),
        ("seamless run --undo --pu", ["--purge"]),
        ("seamless nothing --pu", []),
    ],
)
def test_fish_offers_what_fits(tmp_path: Path, line: str, offered: list[str], require) -> None:
    require("fish", "fish is not installed")
    for name in ("dir", "other dir", "bin", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    for name in ("tool", "seamless-run", "seamless-checksum", "seamless-checksum-index", "seamless"):
        (tmp_path / "bin" / name).symlink_to("/bin/true")
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8"}
    command = f"set fish_complete_path {shlex.quote(str(FISH))} $fish_complete_path; complete -C {shlex.quote(line)}"
    done = subprocess.run(
        ["fish", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    hidden = ("bin/", "home/")
    found = [completed for row in done.stdout.splitlines() if (completed := row.split("\t")[0]) not in hidden]
    assert sorted(found) == offered
