"""The examples at the end of each `--help` work as they are printed, in a directory that has what they name."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.conftest import changed_environment

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(s.name for s in entry_points(group="console_scripts") if s.module.split(".")[0] == "seamless")
FILES = """
printf 'b\\na\\n' > a.txt; cp a.txt t.txt; cp a.txt genome.fa; gzip -k genome.fa; cp genome.fa.gz reads.fastq.gz
mkdir -p data reads; cp a.txt data/x.txt; cp a.txt reads/r1
"""
SORTED = "seamless-run 'sort t.txt > sorted.txt'\n"
NUMBERS = "seamless-run 'seq 9 > numbers.txt'\n"
FIGURE = "seamless-run 'cat a.txt > figure.png'\n"
UPLOADED = "seamless-upload -y genome.fa reads\n"
JOB = "seamless-run --dry --upload -j job 'sort a.txt'\nseamless-run-transformation job/transformation.json.CHECKSUM\n"
PROJECT = "printf -- '- project: thesis\\n- execution: process\\n- persistent: false\\n' > seamless.yaml\n"

# What is there before the examples of a command.
BEFORE = {
    "_seamlessify": "",
    "rhl-clear": "mkdir -p /scratch/buffers/project; touch /scratch/buffers/project/.HASHSERVER_PREFIX\n",
    "rhl-pid-alive": "",
    "rhl-ps": "",
    "rhl-ps-persistent": "mkdir -p /scratch/buffers/project; touch /scratch/buffers/project/.HASHSERVER_PREFIX\n",
    "seamless": "",
    "seamless-checksum": "seamless-checksum-file a.txt\n",
    "seamless-checksum-file": "",
    "seamless-checksum-index": "",
    "seamless-config": PROJECT,
    "seamless-download": UPLOADED + "rm -r genome.fa reads\n",
    "seamless-explain": SORTED,
    "seamless-export": FIGURE + JOB + "cp job/transformation.json.CHECKSUM transformation.CHECKSUM\n",
    "seamless-fingertip": SORTED,
    "seamless-gc": SORTED,
    "seamless-import": FIGURE + "seamless-export -o figure.tar.zst figure.png.CHECKSUM\n",
    "seamless-init": "",
    "seamless-probe": "mkdir -p ~/conda\n",
    "seamless-queue": "",
    "seamless-record": JOB + "seamless-run --dry --upload -j other 'rev a.txt'; "
    "seamless-run-transformation other/transformation.json.CHECKSUM; "
    "FIRST=$(cat job/transformation.json.CHECKSUM) SECOND=$(cat other/transformation.json.CHECKSUM)\n",
    "seamless-resolve": UPLOADED + "seamless-run 'sort a.txt > result'\n",
    "seamless-run": "",
    "seamless-run-transformation": "",
    "seamless-upload": "mkdir -p /data/buffers\n",
    "seamless-verify": SORTED + NUMBERS,
}

# What is there again before each example of a command.
BEFORE_EACH = {
    "seamless-upload": "mkdir -p reads; cp a.txt reads/r1\n",
}

# Examples that run for ever or need what this test has not, and where the same command is executed.
ELSEWHERE = {
    "hashserver": "tests/services/hashserver/test_protocol.py",
    "remote-http-launcher": "tests/launcher/test_client.py",
    "rhl-cache-conda": "tests/launcher/helpers/test_probes.py",
    "rhl-conda-info": "tests/launcher/helpers/test_probes.py",
    "rhl-ensure": "tests/launcher/helpers/test_ensure.py",
    "rhl-guard": "tests/launcher/guard/test_commands.py",
    "rhl-handshake": "tests/launcher/helpers/test_probes.py",
    "rhl-inspect": "tests/launcher/helpers/test_listing.py",
    "rhl-launch-service": "tests/launcher/helpers/test_launch_service.py",
    "rhl-logs": "tests/launcher/helpers/test_listing.py",
    "rhl-rm": "tests/launcher/helpers/test_changing.py",
    "rhl-stop": "tests/launcher/helpers/test_changing.py",
    "rhl-verify-port": "tests/launcher/helpers/test_probes.py",
    "seamless-cancel": "tests/cli/test_cancel.py",
    "seamless-dask-wrapper": "tests/services/dask/test_jobs.py",
    "seamless-dashboard": "tests/insight/dashboard/test_dashboard.py",
    "seamless-database": "tests/services/database/test_server.py",
    "seamless-database-check": "tests/services/database/test_check.py",
    "seamless-doctor": "tests/cli/doctor/test_doctor.py",
    "seamless-jobserver": "tests/services/jobserver/test_protocol.py",
    "seamless-queue-finish": "tests/cli/queueing/test_queue.py",
    "seamless-service-clear": "tests/cli/service/test_clear.py",
    "seamless-service-inspect": "tests/cli/service/test_inspect_logs.py",
    "seamless-service-logs": "tests/cli/service/test_inspect_logs.py",
    "seamless-service-ps": "tests/cli/service/test_ps.py",
    "seamless-service-resolve": "tests/cli/service/test_resolve.py",
    "seamless-service-rm": "tests/cli/service/test_stop_rm.py",
    "seamless-service-stop": "tests/cli/service/test_stop_rm.py",
}
# Examples that end with another status than 0 in this place, and why.
STATUS = {
    "rhl-pid-alive 4711": (0, 1),  # whether there is such a process
    "seamless-record --diff $FIRST $SECOND": (1,),  # they differ
    "seamless-probe --conda tools -c 'samtools --version'": (0, 2, 125),  # no such environment here
}


def examples_of(name: str) -> list[str]:
    """Return the lines of the examples in the help of a command."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / name), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=changed_environment({"NO_COLOR": "1"}),
    )
    match = re.search(r"^examples:\n((?:  .*\n)+)", done.stdout, re.MULTILINE)
    return [line.strip() for line in match[1].splitlines()] if match else []


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_the_examples_in_the_help_of_a_command_work(name: str, tmp_path: Path, isolation: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    lines = examples_of(name)
    assert lines
    each = BEFORE_EACH.get(name, "")
    text = "".join(f"{each}{line}\nstatus $? {i}\n" for i, line in enumerate(lines))
    head = 'status() { echo "$2 $1" >> "$STATUS_FILE"; }\n'
    script = f"{head}{FILES}{BEFORE[name]}exec < /dev/null\n{text}wait\n"
    for directory in ("data", "scratch", "shared"):
        script = re.sub(rf"(?<=\s)/{directory}/", f"{tmp_path}/{directory}/", script)
    changes = {"SEAMLESS_CACHE": str(tmp_path / "cache"), "STATUS_FILE": str(tmp_path / "status")}
    if name == "seamless-config":
        del changes["SEAMLESS_CACHE"]
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=work,
        env=changed_environment(changes),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    ended = [tuple(map(int, line.split())) for line in (tmp_path / "status").read_text().splitlines()]
    wrong = [f"{lines[i]}: {status}" for i, status in ended if status not in STATUS.get(lines[i], (0,))]
    assert (wrong, len(ended)) == ([], len(lines)), done.stdout + done.stderr


def test_every_command_has_examples_that_are_executed_or_a_test_of_its_own() -> None:
    assert sorted([*BEFORE, *ELSEWHERE]) == COMMANDS
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).is_file()] == []
