"""What somebody with a guarded key may try, and what other users of the machine put in its way, against a real sshd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.sshd import missing
from tests.launcher.guard.prey import NAMES, Prey, hunted

pytestmark = pytest.mark.ssh

LAUNCH = "rhl-launch-service --key A --workdir <data>/new "
ENSURE = "rhl-ensure --key A --workdir <data>/new "
SERVER = "hashserver --host 127.0.0.1 <data>/new"
GUARDED = '[[["<victim>","<victim>",1,1]],[],0]'


@pytest.fixture(scope="module")
def server() -> Iterator[Prey | None]:
    if missing():
        yield None
        return
    with hunted() as prey:
        yield prey


@pytest.fixture
def prey(server: Prey | None, require: Callable[[object, str], None]) -> Prey:
    require(not missing(), missing())
    assert server is not None
    return server


# --- commands that are refused ------------------------------------------------------------------------

PATHS = (
    "<data>/link",
    "<data>/link/",
    "<data>/link/.",
    "<data>/./link/../victim",
    "<data>/plain/../../victim",
    "<data>/up/victim",
    "<data>/root<victim>",
    "<data>/loop",
    "<data>/fifo",
    "<data>/bin/sh",
    "<victim>",
    "/<victim>",
    "<data>2",
    "<data>\u2215..\u2215victim",
    "~",
    "~/",
    "~/.ssh",
    "~/../victim",
    "~root",
    "$HOME",
    "/",
    "/proc/self/cwd",
    "/proc/self/root<victim>",
    "/dev/fd/0",
    "/dev/stdin",
    "<home>/.remote-http-launcher/server",
    "victim",
    "./victim",
    "''",
    "<data>/plain <victim>",
    "-- <victim>",
    "<data>/\u202eniam",
    "'<data>/a\nb'",
    "'<data>/a\x1b[2Jb'",
    "<data>/\udcff",
    "<data>/" + "x/" * 3000,
    "<data>/" + "x" * 256,
    f"--guarded {GUARDED!r} <victim>",
    f"--guarded={GUARDED!r} <victim>",
)


@pytest.mark.parametrize("helper", ["rhl-clear --force", "rhl-ps-persistent --level 3"])
def test_no_way_to_write_a_path_leads_out_of_the_data(prey: Prey, helper: str) -> None:
    for path in PATHS:
        done = prey.ssh("guard", prey.text(f"{helper} {path}"))
        assert (done.returncode, done.stdout) == (1, ""), (path, done)
        assert done.stderr.startswith("rhl-guard: rejected: ") and done.stderr.count("\n") == 1, (path, done.stderr)
        prey.check(done.stderr)


SERVICES = (
    f"{LAUNCH} -- <data>/bin/hashserver <data>/new",
    f"{LAUNCH} -- ../hashserver <data>/new",
    f'{LAUNCH} -- python3 -c \'open("<sprung>", "w")\'',
    f"{LAUNCH} -- sh -c 'touch <sprung>'",
    f"{LAUNCH} -- env hashserver <data>/new",
    f"{LAUNCH} -- {SERVER} --status-file <home>/.bashrc",
    f"{LAUNCH} -- {SERVER} --status-file <home>/.remote-http-launcher/server/../../.bashrc",
    f"{LAUNCH} -- {SERVER} --status-file <home>/.remote-http-launcher/server/B.json",
    f"{LAUNCH} -- {SERVER} --extra-dirs <victim>",
    f"{LAUNCH} -- {SERVER} --extra-dirs '<data>/plain;<victim>'",
    f"{LAUNCH} -- {SERVER} --token-file <victim>/precious",
    f"{LAUNCH} -- {SERVER} --host '127.0.0.1;touch'",
    f"{LAUNCH} -- {SERVER} --host 192.0.2.1",
    f"{LAUNCH} -- hashserver <data>/link",
    f"{LAUNCH} -- hashserver <data>/plain",
    f"{LAUNCH} -- seamless-database <data>/link.db",
    f"{LAUNCH} -- seamless-database <data>/new/.bashrc",
    f"{LAUNCH} -- seamless-database <data>/new/x.txt",
    f"{LAUNCH} -- seamless-dask-wrapper os::system",
    f"{LAUNCH} -- seamless-dask-wrapper sitecustomize::x",
    f"{LAUNCH} --conda-env ../../data/env -- {SERVER}",
    f"{LAUNCH} --network-interface 192.0.2.1 -- {SERVER}",
    f"{LAUNCH} --network-interface '$(touch <sprung>)' -- {SERVER}",
    f"{LAUNCH} --workdir <data>/plain -- {SERVER}",
    f"{LAUNCH} --meta '{{\"a\":' -- {SERVER}",
    f"{LAUNCH} --parameters '[]' -- {SERVER}",
    f"{LAUNCH} --parameters NaN -- {SERVER}",
    f"{LAUNCH} --parameters {{}} --parameters-stdin -- {SERVER}",
    f"rhl-launch-service --key A --workdir <victim> -- {SERVER}",
    f"rhl-launch-service --key A --workdir <data>/link -- {SERVER}",
    f"rhl-launch-service --key .all --workdir <data>/new -- {SERVER}",
    f"rhl-launch-service --key ../B --workdir <data>/new -- {SERVER}",
    f"rhl-launch-service --key {'k' * 201} --workdir <data>/new -- {SERVER}",
    f'{ENSURE} --image \'{{"path":"<data>/evil.sif"}}\' -- {SERVER}',
    f'{ENSURE} --image \'{{"path":"<data>/evil.sif","runtime":"<data>/bin/sh"}}\' -- {SERVER}',
    f"{ENSURE} --start-timeout nan -- {SERVER}",
    f"{ENSURE} --start-timeout 1e400 -- {SERVER}",
    f"{ENSURE} --on-mismatch rm -- {SERVER}",
    f"{ENSURE} --handshake '[1]' -- {SERVER}",
    f"{LAUNCH} -- {SERVER} --timeout " + "9" * 100,
    f"{LAUNCH} -- {SERVER} " + "--writable " * 1000,
    "rhl-launch-service --key A --workdir '<data>/new\n' -- hashserver <data>/new",
)


def test_no_launch_executes_reads_or_writes_anything_else(prey: Prey) -> None:
    for command in SERVICES:
        done = prey.ssh("guard", prey.text(command))
        assert (done.returncode, done.stdout) == (1, ""), (command[:300], done)
        assert done.stderr.startswith("rhl-guard: rejected: "), (command[:300], done.stderr)
        prey.check(done.stderr)
        assert not (prey.data / "new").exists()


def test_an_environment_that_somebody_has_put_into_the_data_is_not_entered(prey: Prey) -> None:
    done = prey.ssh("guard", prey.text(f"{LAUNCH} --conda-env <data>/env -- {SERVER}"))
    assert (done.returncode, done.stdout) == (1, "")
    prey.check(done.stderr)


KEYS = (
    "rhl-inspect ../../../victim/precious",
    "rhl-inspect linked",
    "rhl-inspect piped",
    "rhl-inspect deep",
    "rhl-inspect directory",
    "rhl-inspect 'linked\n'",
    "rhl-logs linked",
    "rhl-logs --tail 999999999999999999 linked",
    "rhl-logs --tail 0x10 linked",
    "rhl-verify-port 127.0.0.1 22",
    "rhl-verify-port 192.0.2.1 22",
    "rhl-verify-port localhost 0",
    "rhl-handshake http://192.0.2.1:22/",
    "rhl-handshake http://127.0.0.1:22/",
    "rhl-handshake http://127.0.0.1@192.0.2.1:22/",
    "rhl-handshake http://192.0.2.1#@127.0.0.1:<port>/",
    "rhl-handshake https://127.0.0.1:<port>/",
    "rhl-handshake file://<victim>/precious",
    "rhl-handshake http://127.0.0.1:<port>\\@192.0.2.1/",
    "rhl-handshake http://2130706433:<port>/",
    "rhl-handshake http://0x7f.1:<port>/",
    "rhl-pid-alive -<pid>",
    "rhl-pid-alive 0",
    "rhl-pid-alive " + "9" * 30,
    "rhl-cache-conda <data>/env",
    "rhl-ps --host '$(touch <sprung>)'",
    "BASH_ENV=<data>/bin/sh PATH=<data>/bin sh",
    "() { :;}; touch <sprung>",
)


def test_no_key_and_no_address_reaches_what_is_of_others(prey: Prey) -> None:
    for command in KEYS:
        done = prey.ssh("guard", prey.text(command))
        assert (done.returncode, done.stdout) == (1, ""), (command, done)
        prey.check(done.stdout, done.stderr)


@pytest.mark.parametrize(
    "key", ["init", "group", "all", "own", "named", "recycled", "huge", "typed", "linked", "piped"]
)
def test_a_forged_state_lets_nobody_signal_a_process(prey: Prey, key: str) -> None:
    for command in (f"rhl-stop {key}", f"rhl-inspect {key}", f"rhl-logs {key}"):
        done = prey.ssh("guard", command)
        prey.check(done.stdout, done.stderr)


def test_forged_states_are_shown_as_plain_text(prey: Prey) -> None:
    for command in ("rhl-ps", "rhl-ps --json", "rhl-ps --no-status", "rhl-ps --key", "rhl-ps --status running"):
        done = prey.ssh("guard", command)
        assert done.returncode == 0, done
        prey.check(done.stdout, done.stderr)


# --- commands that are executed --------------------------------------------------------------------------


def test_whatever_lies_in_a_directory_that_is_cleared_only_goes_itself(prey: Prey) -> None:
    """Links, pipes, a file of a terabyte, names that look like options, commands or messages, a deep tree."""
    for name, left in (("mixed", []), ("names", []), ("hard", []), ("deep", ["d"])):
        done = prey.ssh("guard", prey.text(f"rhl-ps-persistent --level 99 <data>/{name}"))
        prey.check(done.stdout, done.stderr)
        done = prey.ssh("guard", prey.text(f"rhl-clear <data>/{name}"))
        prey.check(done.stdout, done.stderr)
        assert sorted(os.listdir(prey.data / name)) == left, done.stderr[-500:]
        assert done.returncode == (1 if left else 0)


def test_names_of_directories_are_shown_as_plain_text(prey: Prey) -> None:
    for name in (*NAMES, b"nested/\x1b[2J"):
        os.makedirs(os.path.join(os.fsencode(prey.data / "shown"), name))
    for more in ("", "--json", "--marker x", "--file x"):
        done = prey.ssh("guard", prey.text(f"rhl-ps-persistent --level 2 {more} <data>/shown"))
        prey.check(done.stdout, done.stderr)


def test_what_cannot_be_removed_is_named_as_plain_text(prey: Prey) -> None:
    done = prey.ssh("guard", prey.text("rhl-clear <data>/kept"))
    assert (done.returncode, "rhl-clear: cannot remove " in done.stderr) == (1, True)
    prey.check(done.stdout, done.stderr)


NO_PARAMETERS = {
    "nothing": b"",
    "no object": b"[1]",
    "cut short": b'{"a":1',
    "no text": b"\xff{}",
    "no number": b'{"a":NaN}',
    "deep": b"[" * 100_000,
    "long": b'{"a":"' + b"x" * (2 << 20) + b'"}',
}


@pytest.mark.parametrize("kind", NO_PARAMETERS)
def test_parameters_that_are_none_start_nothing(prey: Prey, kind: str) -> None:
    done = prey.ssh("guard", prey.text(f"{LAUNCH} --parameters-stdin -- {SERVER}"), data=NO_PARAMETERS[kind])
    assert (done.returncode, done.stdout) == (1, "")
    assert "rhl-guard: rejected: rhl-launch-service: --parameters-stdin: standard input " in done.stderr
    prey.check(done.stderr)
    assert not (prey.data / "new").exists()


def test_an_endless_input_is_not_read_by_who_needs_none(prey: Prey) -> None:
    done = prey.ssh("guard", "rhl-ps --key", data=bytes(8 << 20))
    assert done.returncode == 0
    prey.check(done.stdout, done.stderr)


VARIABLES = {
    "HOME": "<victim>",
    "PATH": "<data>/bin",
    "PYTHONHOME": "<data>",
    "PYTHONPATH": "<data>",
    "PYTHONSTARTUP": "<data>/sitecustomize.py",
    "PYTHONINSPECT": "1",
    "PYTHONEXECUTABLE": "<data>/bin/python3",
    "PYTHONPYCACHEPREFIX": "<victim>",
    "PYTHONWARNINGS": "error::sitecustomize.X",
    "TZ": ":<victim>/precious",
    "LC_ALL": "../../..<data>",
    "LANGUAGE": "<data>",
    "TMPDIR": "<victim>",
    "REMOTE_HTTP_LAUNCHER_DIR": "<data>/forged",
    "SSH_USER_AUTH": "<victim>/precious",
    "SSH_ORIGINAL_COMMAND": "rhl-clear <data>/plain",
    "SHELL": "<data>/bin/sh",
    "SEAMLESS_CACHE": "<victim>",
    "RHL_TOOLS_YAML": "<data>/tools.yaml",
    "COLUMNS": "-1",
}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_of_the_client_changes_nothing(prey: Prey, name: str) -> None:
    option = b"-oSetEnv=" + name.encode() + b"=" + prey.text(VARIABLES[name])
    done = prey.ssh(option, "-oControlPath=none", "guard", "rhl-ps --key")
    prey.check(done.stdout, done.stderr)
    assert (prey.data / "plain" / "x").exists()
    assert os.listdir(prey.data / "forged") == ["server"]


CHANNELS = (
    ("-s", "guard", "sftp"),
    ("-W", "192.0.2.1:22", "guard"),
    ("-N", "-oExitOnForwardFailure=yes", "-R", "0.0.0.0:0:127.0.0.1:1", "guard"),
    ("-N", "-oExitOnForwardFailure=yes", "-R", "<victim>/socket:127.0.0.1:1", "guard"),
    ("-N", "-oTunnel=point-to-point", "-oExitOnForwardFailure=yes", "-w", "any:any", "guard"),
    ("-X", "guard", "xterm"),
    ("-A", "guard", "ssh-add -l"),
    ("-tt", "guard", "bash"),
)


@pytest.mark.parametrize("words", CHANNELS, ids=lambda words: words[0])
def test_no_other_channel_is_open(prey: Prey, words: tuple[str, ...]) -> None:
    done = prey.ssh("-oControlPath=none", *map(prey.text, words))
    assert done.returncode != 0
    assert done.stdout == ""
    prey.check(done.stderr)


def test_many_clients_at_once_are_all_answered(prey: Prey) -> None:
    words = [str(prey.server.shim), "-oControlPath=none", "guard", "rhl-ps --key"]
    clients = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for _ in range(20)]
    answers = {client.communicate(timeout=120)[0] for client in clients}
    assert len(answers) == 1 and "named\n" in answers.pop()
    prey.check()


def test_parameters_are_in_no_command_line_and_no_log(prey: Prey) -> None:
    """A process that looks at all command lines while a service is launched, again and again."""
    script = "import os, sys\nfound = set()\nprint('looking', flush=True)\nwhile not os.path.exists(sys.argv[1]):\n"
    script += (
        "    for name in os.listdir('/proc'):\n        try:\n            line = open(f'/proc/{name}/cmdline').read()\n"
    )
    script += (
        "        except OSError:\n            continue\n        found |= {line} if 'se'+'same' in line else set()\n"
    )
    script += "print(found)\n"
    stop = prey.root / "stop"
    looking = subprocess.Popen([sys.executable, "-c", script, str(stop)], stdout=subprocess.PIPE, text=True)
    assert looking.stdout is not None and looking.stdout.readline() == "looking\n"
    try:
        words = prey.text(
            f"{ENSURE} --parameters-stdin -- {SERVER} --status-file ~/.remote-http-launcher/server/A.json"
        )
        done = prey.ssh("guard", words, data=json.dumps({"token": "open sesame"}).encode())
        assert done.returncode == 0, done
        state = json.loads((prey.records / "A.json").read_text())
        assert state["parameters"] == {"token": "open sesame"}
    finally:
        stop.touch()
        shown = looking.communicate(timeout=60)[0]
        prey.ssh("guard", "rhl-stop A")
        stop.unlink()
    assert shown == "set()\n"
    for log in (prey.records.parent / "guard.log", prey.records / "A.log", prey.root / "sshd.log"):
        assert "sesame" not in log.read_text(errors="replace")
    prey.check()
