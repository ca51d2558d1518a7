"""The examples at the end of each `--help` work as they are printed, in a place that has what they name.

The numbers of ports are replaced by those of free ones, and the directories outside the home by some of the test.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.conftest import changed_environment
from tests.launcher.support import CONDA_SH

SCRIPTS = Path(sys.executable).parent
COMMANDS = sorted(s.name for s in entry_points(group="console_scripts") if s.module.split(".")[0] == "seamless")
FILES = """
printf 'b\\na\\n' > a.txt; cp a.txt t.txt; cp a.txt genome.fa; gzip -k genome.fa; cp genome.fa.gz reads.fastq.gz
mkdir -p data reads ~/buffers; cp a.txt data/x.txt; cp a.txt reads/r1
"""
SORTED = "seamless-run 'sort t.txt > sorted.txt'\n"
NUMBERS = "seamless-run 'seq 9 > numbers.txt'\n"
FIGURE = "seamless-run 'cat a.txt > figure.png'\n"
UPLOADED = "seamless-upload -y genome.fa reads\n"
JOB = "seamless-run --dry --upload -j job 'sort a.txt'\nseamless-run-transformation job/transformation.json.CHECKSUM\n"
PROJECT = "printf -- '- project: thesis\\n- execution: process\\n- persistent: false\\n' > seamless.yaml\n"
CLUSTER = """
mkdir -p ~/.seamless; unset SEAMLESS_CACHE
for name in local hpc; do
    printf "$name:\\n  type: local\\n  frontends:\\n    - hashserver: {bufferdir: $HOME/store}\\n"
    printf "      database: {database_dir: $HOME/store}\\n"
done > ~/.seamless/clusters.yaml
printf -- '- project: thesis\\n' > seamless.yaml
printf -- '- cluster: local\\n- execution: process\\n- persistent: true\\n' > seamless.profile.yaml
"""
SERVICES = CLUSTER + "seamless-init\n"
STOPPED = "seamless-service-stop --cluster local --project thesis\n"
LAUNCHED = """
printf 'key: hashserver-local-rw-project\\nworkdir: ~/buffers\\n' > hashserver.yaml
printf 'command: hashserver --status-file {status_file} .\\n' >> hashserver.yaml
remote-http-launcher hashserver.yaml
"""
LISTENING = (
    "hashserver ~/buffers --port 5577 > listening 2>&1 & disown\nwait_for answers http://127.0.0.1:5577/healthcheck\n"
)
# A step that runs until it is canceled, and says that it does.
WITHOUT_END = """
LINE="touch $HOME/started; sleep 600 > result.txt"
rm -rf ~/started job; seamless-run --dry --upload -j job "$LINE"; seamless-run "$LINE" &
wait_for test -e ~/started
"""
GUARDED = "echo ~/buffers > FILE; echo ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI$(printf 'A%.0s' {1..43}) > KEY.pub\n"
# A machine that is reached by ssh is this one; the connection that it is told to forward is there anyway.
SSH = """
mkdir bin; printf '#!/bin/sh\\nshift 3\\nexec "$@"\\n' > bin/ssh; chmod +x bin/ssh; PATH=$PWD/bin:$PATH
"""

# What is there before the examples of a command.
BEFORE = {
    "_seamlessify": "",
    "hashserver": "mkdir -p /shared/buffers /old/a /old/b\n",
    "remote-http-launcher": LAUNCHED,
    "rhl-cache-conda": "",
    "rhl-clear": "mkdir -p /scratch/buffers/project; touch /scratch/buffers/project/.HASHSERVER_PREFIX\n",
    "rhl-conda-info": "rhl-cache-conda\n",
    "rhl-ensure": "",
    "rhl-guard": GUARDED,
    "rhl-handshake": LISTENING,
    "rhl-inspect": LAUNCHED,
    "rhl-launch-service": "",
    "rhl-logs": LAUNCHED,
    "rhl-pid-alive": "",
    "rhl-ps": "",
    "rhl-ps-persistent": "mkdir -p /scratch/buffers/project; touch /scratch/buffers/project/.HASHSERVER_PREFIX\n",
    "rhl-rm": LAUNCHED + "rhl-stop hashserver-local-rw-project\n",
    "rhl-stop": LAUNCHED,
    "rhl-verify-port": LISTENING,
    "seamless": "",
    "seamless-cancel": "",
    "seamless-checksum": "seamless-checksum-file a.txt\n",
    "seamless-checksum-file": "",
    "seamless-checksum-index": "",
    "seamless-config": PROJECT,
    "seamless-dashboard": SORTED + SSH,
    "seamless-dask-wrapper": "",
    "seamless-database": "mkdir cache\n",
    "seamless-database-check": "SEAMLESS_CACHE=$PWD/c seamless-run 'sort a.txt'; mv c/__TOPLEVEL__ cache\n",
    "seamless-doctor": CLUSTER,
    "seamless-download": UPLOADED + "rm -r genome.fa reads\n",
    "seamless-explain": SORTED,
    "seamless-export": FIGURE + JOB + "cp job/transformation.json.CHECKSUM transformation.CHECKSUM\n",
    "seamless-fingertip": SORTED,
    "seamless-gc": SORTED,
    "seamless-import": FIGURE + "seamless-export -o figure.tar.zst figure.png.CHECKSUM\n",
    "seamless-init": "",
    "seamless-jobserver": "export TOKEN=$(printf '0%.0s' {1..64}); export SEAMLESS_TOKEN=$TOKEN\n",
    "seamless-probe": "mkdir -p ~/conda\n",
    "seamless-queue": "",
    "seamless-queue-finish": "",
    "seamless-record": JOB + "seamless-run --dry --upload -j other 'rev a.txt'; "
    "seamless-run-transformation other/transformation.json.CHECKSUM; "
    "FIRST=$(cat job/transformation.json.CHECKSUM) SECOND=$(cat other/transformation.json.CHECKSUM)\n",
    "seamless-resolve": UPLOADED + "seamless-run 'sort a.txt > result'\n",
    "seamless-run": "",
    "seamless-run-transformation": "",
    "seamless-service-clear": CLUSTER + "seamless-init; seamless-init --stage test\n" + STOPPED,
    "seamless-service-inspect": SERVICES,
    "seamless-service-logs": SERVICES,
    "seamless-service-ps": SERVICES,
    "seamless-service-resolve": CLUSTER,
    "seamless-service-rm": SERVICES + STOPPED,
    "seamless-service-stop": CLUSTER,
    "seamless-status": "seamless-run 'grep nothing a.txt'\n",
    "seamless-upload": "mkdir -p /data/buffers\n",
    "seamless-verify": SORTED + NUMBERS,
}

# What is there again before each example of a command.
BEFORE_EACH = {
    "seamless-cancel": WITHOUT_END,
    "seamless-queue-finish": "rm -rf x x.*; seamless-queue -q & seamless-run --qsubmit 'sort a.txt > x'\n",
    "seamless-service-stop": "seamless-init\n",
    "seamless-upload": "mkdir -p reads; cp a.txt reads/r1\n",
}
# Before single examples, in addition.
BEFORE_THIS = {
    "seamless-service-logs --service database --grep '(?i)error' --follow": (
        "echo an ERROR >> ~/.remote-http-launcher/server/database-local-rw-thesis.log\n"
    ),
    # What the example before it has left in the file says that it runs.
    "seamless-dask-wrapper dask_jobqueue::SLURMCluster --port-range 60300 60399 --status-file state.json": (
        'echo \'{"parameters": {"cores": 1, "memory": "1 GB", "walltime": "1:00:00"}}\' > state.json\n'
    ),
    "seamless-queue-finish --cancel": "seamless-run --qsubmit 'until test -e ~/never; do sleep 1; done > y'\n",
}

RUNNING = "grep running state.json"
# Examples that run until they are told to end, and what is true as soon as they do their work.
WITHOUT_AN_END = {
    "hashserver ~/buffers --writable --port 5577": "answers http://127.0.0.1:5577/healthcheck",
    "hashserver /shared/buffers --extra-dirs '/old/a;/old/b'": "grep -q listening output",
    "seamless-dashboard --port 8899": "answers http://127.0.0.1:8899/",
    "ssh -L 8899:127.0.0.1:8899 login.example seamless-dashboard --port 8899": "answers http://127.0.0.1:8899/",
    "seamless-dask-wrapper distributed::LocalCluster --host 127.0.0.1 --status-file state.json": RUNNING,
    "seamless-dask-wrapper dask_jobqueue::SLURMCluster --port-range 60300 60399 --status-file state.json": RUNNING,
    "seamless-database --writable --port 5522 cache/seamless.db": "answers http://127.0.0.1:5522/healthcheck",
    "SEAMLESS_CACHE=~/cache seamless-jobserver --workers 4 --port 5533": "answers http://127.0.0.1:5533/healthcheck",
    "seamless-service-logs --service database --grep '(?i)error' --follow": "grep ERROR output",
}
# Examples that end with another status than 0 in this place, and why.
STATUS = {
    "rhl-pid-alive 4711": 1,  # replaced by the number of a process that has ended
    "seamless-queue-finish --cancel": 1,  # the jobs that it has canceled are not done
    "seamless-record --diff $FIRST $SECOND": 1,  # they differ
    "seamless-service-logs --service database --grep '(?i)error' --follow": 130,  # nothing else ends it
}
HEAD = """
status() { echo "$2 $1" >> "$STATUS_FILE"; }
answers() { curl -s -o answer "$1"; }
wait_for() { until "$@" > /dev/null 2>&1; do sleep 0.05; done; }
"""


def examples_of(name: str) -> list[str]:
    """Return the lines of the examples in the help of a command."""
    done = subprocess.run(
        [str(SCRIPTS / name), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=changed_environment({"NO_COLOR": "1"}),
    )
    found = re.findall(r"^(?:examples|To [^\n]*):\n((?:  .*\n)+)", done.stdout, re.MULTILINE)
    return [line.strip() for lines in found for line in lines.replace("\\\n", "").splitlines()]


def free_port() -> int:
    """Return a port on which nothing listens, of a range from which nobody gets one without asking for it."""
    while True:
        port = random.SystemRandom().randrange(3000, 10000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@pytest.fixture
def no_process_left(isolation: Path) -> Iterator[None]:
    """Stop the services that the examples have launched."""
    yield
    for state in (isolation / ".remote-http-launcher" / "server").glob("*.json"):
        subprocess.run([str(SCRIPTS / "rhl-stop"), state.stem], env=changed_environment({}), check=False)


@pytest.fixture
def conda(isolation: Path) -> None:
    """Put a stand-in for an installation of conda into the home directory, with an environment `tools`."""
    prefix = isolation / "miniforge3"
    (prefix / "etc" / "profile.d").mkdir(parents=True)
    (prefix / "etc" / "profile.d" / "conda.sh").write_text(CONDA_SH.replace("BASE", str(prefix)))
    (prefix / "envs" / "tools" / "bin").mkdir(parents=True)


def script_of(name: str, lines: list[str]) -> str:
    """Return a bash script that executes the examples one after the other and notes how each ends."""
    parts = [HEAD, FILES, BEFORE[name], "exec < /dev/null\n"]
    running = False
    for i, line in enumerate(lines):
        ready = WITHOUT_AN_END.get(line)
        if ready and running:
            parts.append("finish\n")
        parts += [BEFORE_EACH.get(name, ""), BEFORE_THIS.get(line, "")]
        if ready is None:
            parts.append(f"{line}\nstatus $? {i}\n")
            continue
        parts.append(f"{line} > output 2>&1 &\nserver=$!\n")
        parts.append(f"finish() {{ kill $server; wait $server; status $? {i}; }}\nwait_for {ready}\n")
        running = True
    return "".join([*parts, "finish\n" if running else "wait\n"])


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_the_examples_in_the_help_of_a_command_work(
    name: str, tmp_path: Path, conda: None, no_process_left: None
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    lines = examples_of(name)
    assert lines
    script = script_of(name, lines)
    for directory in ("data", "scratch", "shared", "old"):
        script = re.sub(rf"(?<=[\s';])/{directory}/", f"{tmp_path}/{directory}/", script)
    for port in ("5577", "5522", "5533", "8899"):
        script = re.sub(rf"\b{port}\b", str(free_port()), script)
    ended = subprocess.Popen(["true"])
    ended.wait()
    script = script.replace("4711", str(ended.pid))
    changes = {"SEAMLESS_CACHE": str(tmp_path / "cache"), "STATUS_FILE": str(tmp_path / "status")}
    if name == "seamless-config":
        del changes["SEAMLESS_CACHE"]
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=work,
        env=changed_environment(changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=110)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    statuses = [tuple(map(int, line.split())) for line in (tmp_path / "status").read_text().splitlines()]
    wrong = [f"{lines[i]}: {status}" for i, status in statuses if status != STATUS.get(lines[i], 0)]
    assert (wrong, len(statuses)) == ([], len(lines)), output


def test_every_command_has_examples_that_are_executed() -> None:
    assert sorted(BEFORE) == COMMANDS
