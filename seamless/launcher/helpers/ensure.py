"""The command `rhl-ensure`: have one service of a key run and answer, and report what happens as it happens.

One JSON object a line on stdout: {"phase", "result"}, {"detail"}, {"command", "where"} or {"warning"}, and at last
{"ok": true, "launched", "state"} or {"ok": false, "error", ...}. Who reads may go away: the launch is finished.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from typing import Any

from seamless.errors import SeamlessError
from seamless.launcher.errors import LauncherError, StartFailed
from seamless.launcher.executor import Ensured
from seamless.launcher.helpers.frame import FAILURE, OK, USAGE, Call, run_helper, silence_stdout
from seamless.launcher.helpers.launching import configuration, terms
from seamless.launcher.local import LocalExecutor
from seamless.launcher.observers import Observer, Phase, redacted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-ensure"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run, usage=USAGE)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


class _Reporter(Observer):
    """Writes what it is told as JSON lines, for as long as somebody reads them."""

    def __init__(self) -> None:
        self.reached, self._listening = "", True

    def write(self, **fields: Any) -> None:
        """Write one line at once."""
        if not self._listening:
            return
        try:
            sys.stdout.write(json.dumps(fields) + "\n")
            sys.stdout.flush()
        except OSError:
            self._listening = False
            silence_stdout()

    def phase(self, phase: Phase, result: str = "") -> None:
        """Report it."""
        self.reached = str(phase)
        self.write(phase=str(phase), result=result)

    def detail(self, text: str) -> None:
        """Report it."""
        self.write(detail=text)

    def command(self, where: str, argv: list[str]) -> None:
        """Report it, without what looks secret."""
        self.write(command=redacted(argv), where=where)

    def warning(self, text: str) -> None:
        """Report it."""
        self.write(warning=text)


def _run(call: Call) -> int:
    reporter = _Reporter()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the connection may be lost
    try:
        ensured = _ensure(call, reporter)
    except SeamlessError as exc:
        reporter.write(**_failure(exc, reporter.reached))
        return FAILURE
    except OSError as exc:
        where = f": {exc.filename}" if exc.filename is not None else ""
        reporter.write(ok=False, error=f"{exc.strerror or exc}{where}", phase=reporter.reached)
        return FAILURE
    finally:
        signal.signal(signal.SIGHUP, before)
    reporter.write(ok=True, launched=ensured.launched, state=ensured.state)
    return OK


def _ensure(call: Call, reporter: _Reporter) -> Ensured:
    config = configuration(call)
    executor = LocalExecutor(terms=terms(call))
    ensured = executor.ensure(config, reporter)
    differences = [] if ensured.launched else executor.differences(config, ensured.state)
    if not differences:
        return ensured
    text = f"{config.key} runs with other settings than configured: {'; '.join(differences)}"
    hint = f"to restart it with the new ones, stop it: rhl-stop {config.key}"
    action = call.options.get("on-mismatch", "warn")
    if action == "error":
        raise LauncherError(text, phase=Phase.REMOTE_VALIDATE, key=config.key, hint=hint)
    if action == "warn":
        reporter.warning(f"{text}\n  what to do: {hint}")
        return ensured
    executor.stop(config.key)
    return executor.ensure(config, reporter)


def _failure(exc: SeamlessError, reached: str) -> dict[str, Any]:
    """Return the last line about a launch that has failed. `kind` is the class of the error."""
    fields: dict[str, Any] = {"ok": False, "error": str(exc), "phase": reached, "kind": type(exc).__name__}
    if isinstance(exc, LauncherError):
        fields |= {"error": exc.message, "phase": exc.phase or reached, "hint": exc.hint}
        fields |= {"log_path": exc.log_path, "log_tail": list(exc.log_tail)}
    if isinstance(exc, StartFailed):
        fields["exit_status"] = exc.exit_status
    return fields
