"""The examples of the page about SLURM in real jobs: also those that are only shown, as they need a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batch.support import ROOT
from tests.docs.conftest import run_page as run_page

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]

ONLY_SHOWN = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The cluster of the tests is a small one, and what jobs print is in their files.
SMALLER = {"--cpus-per-task 16": "--cpus-per-task 4", "--mem 16G": "--mem 100M"}


def typed(block: re.Match[str]) -> str:
    """Return a block with commands as one that is executed: each job is waited for, its number is any."""
    lines = [line.partition("   #")[0] for line in block[1].splitlines() if "sbatch" in line]
    commands = [f"$ {line.replace('sbatch ', 'sbatch --wait ')}\nSubmitted batch job ...\n" for line in lines]
    return f"```console\n{''.join(commands)}```"


@pytest.mark.usefixtures("slurm")
def test_the_jobs_of_the_page_about_slurm_end_well(
    run_page: Callable[[str], list[str]],
    tmp_path: Path,
) -> None:
    text = (ROOT / "docs" / "howto" / "slurm.md").read_text(encoding="utf-8")
    for shown, smaller in SMALLER.items():
        text = text.replace(shown, smaller)
    page = ONLY_SHOWN.sub(typed, text)
    assert page.count("$ sbatch --wait") == 5
    work = tmp_path / "work"  # that of the page
    (work / "words.txt").write_text("pear\nfig\n")
    (work / "slurm").symlink_to(ROOT / "slurm")
    cache = f"```console\n$ export SEAMLESS_CACHE={tmp_path}/cache\n```\n\n"
    assert run_page(cache + page) == []
    assert (work / "sorted.txt").read_text() == "fig\npear\n"
    assert [(work / f"sorted-{n}.txt").read_text() for n in (1, 2, 3)] == ["line 1\n", "line 2\n", "line 3\n"]
