"""Processes of this machine, known by pid *and* kernel start time, so that a recycled pid is never taken for one.

Linux: reads /proc. Signals go only to a process whose identity has just been proven.
"""

from __future__ import annotations

import os
import select
import shlex
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

INTERRUPT_SECONDS = 5.0  # for an orderly end after SIGINT, and again after SIGTERM
_POLL_SECONDS = 0.02


class ProcessStat(NamedTuple):
    """The part of /proc/PID/stat that matters. `start_time` is in ticks since boot."""

    state: str
    parent: int
    group: int
    session: int
    start_time: int


class Member(NamedTuple):
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    start_time: int


def read_stat(pid: int) -> ProcessStat | None:
    """Return the facts of a process, or None if there is none with this pid."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            text = f.read()
    except (OSError, OverflowError):
        return None
    fields = text[text.rfind(b")") + 2 :].split()  # the name before it may contain anything
    if len(fields) < 20:
        return None
    state = fields[0].decode()
    if state == "Z" and int(fields[17]) > 1:
        # Only its first thread has ended; a container runtime looks so while another thread executes the next program.
        state = "S"
    return ProcessStat(state, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def start_time(pid: int) -> int | None:
    """Return when the process was started, in ticks since boot, or None if there is none."""
    stat = read_stat(pid)
    return stat.start_time if stat else None


def boot_id() -> str:
    """Return what the kernel calls this boot; start times mean nothing without it."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as f:
            return f.read().strip()
    except OSError:
        return ""


def host_name() -> str:
    """Return the name of this machine."""
    return os.uname().nodename


def is_pid(value: object) -> bool:
    """Tell whether `value` can be the pid of a service: never 0, 1 or a group."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 < value < 1 << 31


def _living(pid: int, collect: bool = True) -> ProcessStat | None:
    """Return the facts of a process that runs. `collect`: give a dead child of this process back to the kernel."""
    stat = read_stat(pid)
    if stat is None or stat.state in ("Z", "X"):
        if collect and stat is not None and stat.parent == os.getpid():
            reap(pid)
        return None
    return stat


def reap(pid: int) -> int | None:
    """Return the exit status of a dead child of this process, negative for a signal; None if not known or alive."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended == pid else None


def is_same_process(pid: object, started: object) -> bool:
    """Tell whether the process `pid` runs and was started at `started` (ticks since this boot)."""
    if not is_pid(pid) and pid != os.getpid():
        return False
    assert isinstance(pid, int)
    stat = _living(pid)
    return stat is not None and stat.start_time == started


def recorded_elsewhere(state: Mapping[str, Any]) -> str | None:
    """Return the name of the other machine that a state belongs to, or None if it is of this one.

    The same boot means the same kernel, whatever it is called (a container); the same name after another boot means
    that the machine was restarted.
    """
    host, boot = state.get("host"), state.get("boot_id")
    if not isinstance(host, str) or not boot or boot == boot_id() or host == host_name():
        return None
    return host


def recorded_process(state: Mapping[str, Any], *, collect: bool = True) -> Member | None:
    """Return the living process that the state records, or None if it is gone (or another one has its pid).

    Without a start time (a state that another launcher has written) the command line must show the service.
    `collect` False: leave the exit status of a dead child to who wants it.
    """
    pid = state.get("pid")
    if not is_pid(pid):
        return None
    assert isinstance(pid, int)
    stat = _living(pid, collect)
    if stat is None or owner(pid) != os.getuid():
        return None
    if "start_time" in state:
        if state["start_time"] != stat.start_time or state.get("boot_id", boot_id()) != boot_id():
            return None
    elif not _shows_command(pid, state.get("command")):
        return None
    return Member(pid, stat.start_time)


def owner(pid: int) -> int | None:
    """Return the numeric user of a process, or None if there is none."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def _shows_command(pid: int, command: object) -> bool:
    """Tell whether the command line of a process has the service name and the status file of a recorded command."""
    if not isinstance(command, str):
        return False
    try:
        recorded = shlex.split(command)
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            line = os.fsdecode(f.read())
    except (OSError, ValueError):
        return False
    wanted = [os.path.basename(recorded[0])] if recorded else [""]
    for i, word in enumerate(recorded):
        if word == "--status-file" and i + 1 < len(recorded):
            wanted.append(recorded[i + 1])
        elif word.startswith("--status-file="):
            wanted.append(word.partition("=")[2])
    return len(wanted) > 1 and all(word and word in line for word in wanted)


def session_members(leader: Member) -> list[Member]:
    """Return the living processes of the session that `leader` leads, itself last."""
    stat = read_stat(leader.pid)
    if stat is None or stat.session != leader.pid:
        return [leader]
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != leader.pid:
            other = read_stat(int(name))
            if other is not None and other.session == leader.pid and other.state not in ("Z", "X"):
                members.append(Member(int(name), other.start_time))
    return [*members, leader]


def stop_process(leader: Member, *, patience: float = INTERRUPT_SECONDS) -> bool:
    """Stop a process, its group and its session: SIGINT, SIGTERM, SIGKILL, `patience` seconds apart.

    Returns whether SIGKILL was needed for the process. Raises PermissionError if it may not be signalled. Blocks.
    """
    import signal  # takes long to import, and most callers only look

    followers = session_members(leader)[:-1]
    needed = False
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        needed = number == signal.SIGKILL
        if not is_same_process(*leader):
            needed = False
            break
        followers = list({*followers, *session_members(leader)[:-1]})
        _signal_group(leader, number)
        if wait_for_end(leader, patience):
            break
    # What the leader has left behind; the group is gone with it, so each one is asked by its own identity.
    _end_followers(followers, patience)
    return needed


def _signal_group(leader: Member, number: int) -> None:
    """Send a signal to the process, and to its whole group if it leads one."""
    stat = read_stat(leader.pid)
    if stat is None or stat.start_time != leader.start_time:
        return
    try:
        if stat.group == leader.pid:
            os.killpg(leader.pid, number)
        else:
            os.kill(leader.pid, number)
    except ProcessLookupError:
        return


def _end_followers(followers: list[Member], patience: float) -> None:
    import signal

    for number in (signal.SIGTERM, signal.SIGKILL):
        living = [member for member in followers if is_same_process(*member)]
        for member in living:
            try:
                os.kill(member.pid, number)
            except ProcessLookupError:
                continue
        wait_until(lambda: not any(is_same_process(*member) for member in followers), patience if living else 0)


def wait_for_end(member: Member, seconds: float) -> bool:
    """Wait at most `seconds` for the end of a process; tell whether it has ended."""
    try:
        fd = os.pidfd_open(member.pid)
    except (OSError, AttributeError):
        return wait_until(lambda: not is_same_process(*member), seconds)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if is_same_process(*member):
            poll.poll(max(0.0, seconds) * 1000)
    finally:
        os.close(fd)
    return not is_same_process(*member)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait at most `seconds` until `condition()` is true; tell whether it is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return condition()
        time.sleep(_POLL_SECONDS)
    return True
