"""Commands on another machine: what is sent, what comes back, and why one did not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from seamless.launcher.errors import GuardRejected, HelperMissing, SSHConnectionError
from seamless.launcher.ssh.connection import SSHConnection
from tests.helpers.sshd import Sshd

pytestmark = pytest.mark.ssh

AWKWARD = ["", "a b", "'", '"', "$HOME", "`id`", "a;b", "x\ny", "*", "~", "a~/b", "-n", "\\", "é", "!x", "#"]


def test_every_argument_arrives_as_it_was(sshd: Sshd) -> None:
    done = SSHConnection("plain").run(["printf", r"%s\0", *AWKWARD])
    assert done.stdout.split("\0")[:-1] == AWKWARD


def test_a_path_in_the_home_directory_is_expanded_there(sshd: Sshd) -> None:
    assert SSHConnection("plain").run(["echo", "~/a b"]).stdout == f"{sshd.home}/a b\n"


def test_conda_in_the_home_directory_is_searched(sshd: Sshd) -> None:
    program = sshd.home / "miniforge3" / "bin" / "greet"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    assert SSHConnection("plain").run(["greet"]).stdout == "hello\n"


def test_status_and_both_outputs_come_back(sshd: Sshd) -> None:
    done = SSHConnection("plain").run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert done == (3, "out\n", "err\n")


def test_data_is_read_by_the_command(sshd: Sshd) -> None:
    data = bytes(range(256)) * 2000
    done = SSHConnection("plain").run(["sha256sum"], data=data)
    import hashlib

    assert done.stdout.split()[0] == hashlib.sha256(data).hexdigest()


def test_lines_are_told_while_the_command_runs(sshd: Sshd, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = f"echo one; while [ ! -e {gate} ]; do sleep 0.01; done; echo two; printf three"
    told: list[str] = []

    def on_line(line: str) -> None:
        told.append(line)
        gate.touch()

    done = SSHConnection("plain").run(["sh", "-c", script], on_line=on_line)
    assert (told, done.stdout) == (["one", "two"], "one\ntwo\nthree")


def test_several_commands_need_one_login(sshd: Sshd) -> None:
    for _ in range(3):
        SSHConnection("plain").run(["true"])
    assert (sshd.logins(), len(sshd.commands())) == (1, 3)


def test_two_names_of_one_host_do_not_share_a_connection(sshd: Sshd) -> None:
    sshd.authorize("other", 'command="echo limited"')
    assert SSHConnection("plain").run(["echo", "free"]).stdout == "free\n"
    assert SSHConnection("other").run(["echo", "free"]).stdout == "limited\n"


def test_a_dead_shared_connection_is_replaced(sshd: Sshd) -> None:
    SSHConnection("plain").run(["true"])
    sshd.kill_sessions()
    assert SSHConnection("plain").run(["echo", "again"]).stdout == "again\n"


def test_a_restarted_server_is_reached(sshd: Sshd) -> None:
    SSHConnection("plain").run(["true"])
    sshd.stop()
    sshd.start()
    assert SSHConnection("plain").run(["echo", "again"]).stdout == "again\n"


def test_a_command_that_takes_too_long_is_given_up(sshd: Sshd) -> None:
    with pytest.raises(SSHConnectionError, match="did not finish a command within 0.5 s"):
        SSHConnection("plain").run(["sleep", "60"], timeout=0.5)


def test_a_missing_command_is_an_error_of_its_own(sshd: Sshd) -> None:
    with pytest.raises(HelperMissing, match="plain has no command rhl-nothing") as caught:
        SSHConnection("plain").run(["rhl-nothing"])
    assert caught.value.host == "plain"


def test_a_missing_file_is_no_missing_command(sshd: Sshd) -> None:
    assert SSHConnection("plain").run(["cat", "/nothing"]).status == 1


def test_a_refusal_of_the_guard_is_an_error_of_its_own(sshd: Sshd) -> None:
    sshd.authorize("guarded", "command=\"echo 'rhl-guard: rejected: not that' >&2; exit 1\"")
    with pytest.raises(GuardRejected, match="guarded refuses rhl-ps: not that") as caught:
        SSHConnection("guarded").run(["rhl-ps"])
    assert caught.value.reason == "not that"


# --- hosts that are not reached -------------------------------------------------------------------


def test_a_key_that_is_not_accepted_is_said(sshd: Sshd) -> None:
    sshd.set_line("plain", "")
    with pytest.raises(SSHConnectionError, match="Permission denied") as caught:
        SSHConnection("plain").run(["true"])
    assert "authorized_keys" in caught.value.hint


def test_a_port_where_nobody_listens_is_said(sshd: Sshd) -> None:
    sshd.stop()
    with pytest.raises(SSHConnectionError, match="Connection refused") as caught:
        SSHConnection("plain").run(["true"])
    assert (caught.value.host, "port" in caught.value.hint) == ("plain", True)


def test_an_unknown_name_is_said(sshd: Sshd) -> None:
    with pytest.raises(SSHConnectionError, match="Could not resolve") as caught:
        SSHConnection("nowhere.invalid").run(["true"])
    assert "ssh_hostname" in caught.value.hint


def test_a_changed_host_key_is_said(sshd: Sshd) -> None:
    known = (sshd.root / "id_plain.pub").read_text().split()[:2]
    (sshd.root / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {' '.join(known)}\n")
    with pytest.raises(SSHConnectionError) as caught:
        SSHConnection("plain").run(["true"])
    assert "host key" in str(caught.value).lower()


@pytest.mark.timeout(20)
def test_a_host_that_does_not_answer_is_given_up_after_the_connect_timeout(sshd: Sshd) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = sshd.root / "ssh_config"
        config.write_text(config.read_text().replace(f"Port {sshd.port}", f"Port {listener.getsockname()[1]}"))
        with pytest.raises(SSHConnectionError, match="timed out") as caught:
            SSHConnection("plain").run(["true"])
        assert "network" in caught.value.hint


def test_a_program_that_is_not_there_is_said(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_SSH", "/nothing/ssh -v")
    with pytest.raises(SSHConnectionError, match="cannot start ssh") as caught:
        SSHConnection("plain").run(["true"])
    assert "SEAMLESS_SSH" in caught.value.hint


def test_a_name_that_looks_like_an_option_is_no_host() -> None:
    with pytest.raises(ValueError, match="no name of a host"):
        SSHConnection("-oProxyCommand=id")
