"""How a failed command is reported: which facts, in which order, and what to do next."""

from __future__ import annotations

from seamless.errors import SeamlessStreamTransformationError
from seamless.transformer.outcome import Usage
from seamless.transformer.workers.oom import MEANING, used_up_to

KILLED = 137  # the exit status after SIGKILL
_TAIL_LINES = 20
_TAIL_CHARACTERS = 8000
_COMMAND_CHARACTERS = 4000
_STARS = "*" * 50


class BashFailure(SeamlessStreamTransformationError):
    """A command that failed; `str()` is the complete text. `stdout`, `stderr`: captured output, as in BashResult.

    `exit_status`: as bash gives it, 128+N after signal N, 124 after the time limit, 130 when canceled, None when the
    command never ran or succeeded without a result. `written`: the end of what it wrote to RESULT. `canceled`: stopped
    on request of the caller.
    """

    def __init__(
        self,
        text: str = "",
        *,
        exit_status: int | None = None,
        stdout: bytes = b"",
        stderr: bytes = b"",
        usage: Usage | None = None,
        canceled: bool = False,
        written: bytes = b"",
    ):
        super().__init__(text, exit_status=exit_status)
        self.stdout, self.stderr = stdout, stderr
        self.usage = usage if usage is not None else Usage()
        self.canceled = canceled
        self.written = written


class ResultProblem(Exception):
    """The command succeeded, but RESULT cannot be used: what was found, and what to do."""

    def __init__(self, reason: str, advice: str):
        super().__init__(reason)
        self.reason, self.advice = reason, advice


def failure_text(reason: str, advice: str, command: str, stdout: bytes = b"", stderr: bytes = b"") -> str:
    """Return the whole message: the reason, the command, the end of its output, what to do; ends in a newline."""
    parts = ["Bash transformer exception", "==========================", "", f"Error: {reason}", ""]
    parts += _section("Command", _shorten(command.strip("\n")))
    for title, output in (("Standard error", stderr), ("Standard output", stdout)):
        if output.strip():
            parts += _section(title, _tail(output))
    parts.append(_STARS)
    if advice:
        parts += ["", advice]
    return "\n".join(parts) + "\n"


def exit_reason(status: int) -> str:
    """Return the sentence for a non-zero exit status."""
    name = _signal_name(status)
    return f"Return code {status}" + (f" ({name})" if name else "")


def exit_advice(status: int, stderr: bytes) -> str:
    """Return what to do about a non-zero exit status."""
    if b"unbound variable" in stderr:
        return (
            "The command uses a variable that has no value (it runs under 'set -u'). Make the variable an input of\n"
            "the step, or write ${NAME:-} where it may be missing."
        )
    if status == 127:
        return (
            "A command was not found. Is it installed and on PATH where the step runs? A script of your own must be\n"
            "an input of the step."
        )
    if status == 126:
        return "A file was found but could not be executed: mark it with 'chmod +x', or give it to its interpreter."
    if status == KILLED:
        return (
            "Something killed the process with SIGKILL: most often the machine or the memory limit ran out of memory."
        )
    if not stderr.strip():
        return (
            "The first command that fails ends the step (it runs under 'set -e'); a 'grep' without a hit is such a\n"
            "failure. Append '|| true' to a command that may fail."
        )
    return ""


def starved_advice(peak_bytes: int | None) -> str:
    """Return what to do if the system has ended a process of the command for want of memory."""
    return (
        f"{MEANING}{used_up_to(peak_bytes)}\n"
        "Have the command take less at once, or execute fewer steps side by side, or where there is more memory."
    )


def _signal_name(status: int) -> str:
    """Return which signal an exit status over 128 stands for, or ''."""
    if not 128 < status < 128 + 65:
        return ""
    import signal

    try:
        return f"killed by {signal.Signals(status - 128).name}"
    except ValueError:
        return ""


def _section(title: str, body: str) -> list[str]:
    return [_STARS, f"* {title}", _STARS, body]


def _shorten(text: str) -> str:
    if len(text) <= _COMMAND_CHARACTERS:
        return text
    return text[: _COMMAND_CHARACTERS - 500] + "\n[...]\n" + text[-500:]


def _tail(output: bytes) -> str:
    """Return the last lines of captured output as text."""
    lines = output.decode(errors="replace").rstrip("\n").split("\n")
    text = "\n".join(lines[-_TAIL_LINES:])
    shortened = len(lines) > _TAIL_LINES
    if len(text) > _TAIL_CHARACTERS:
        text, shortened = text[-_TAIL_CHARACTERS:], True
    return "[...]\n" + text if shortened else text
