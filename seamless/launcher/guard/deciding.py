"""From the text that an SSH client sent to the arguments of a helper, or the reason why there are none."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from seamless.launcher.grammar import HELPERS, MAX_LENGTH, GrammarError, Invocation, parse, wants_help, wants_version
from seamless.launcher.guard.paths import PathPolicy
from seamless.launcher.guard.refusals import Rejected
from seamless.launcher.guard.settings import Settings
from seamless.launcher.guarded import OPTION, Guarded
from seamless.launcher.paths import state_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import read_state_or_none

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_WITH_PATHS = frozenset(("rhl-clear", "rhl-ps-persistent", "rhl-launch-service", "rhl-ensure"))
_CHANGING = frozenset(
    ("rhl-stop", "rhl-rm", "rhl-clear", "rhl-cache-conda", "rhl-launch-service", "rhl-ensure")
)  # fmt: skip


class Decision(NamedTuple):
    """What is to be executed: the name of the helper, then its arguments. `data`: its standard input."""

    helper: str
    arguments: tuple[str, ...]
    data: bytes = b""


def split_command(command: bytes) -> list[str]:
    """Return the words of a command, without the assignments before it. No shell sees it. Raises Rejected."""
    if len(command) > MAX_LENGTH:
        raise Rejected(f"the command is longer than {MAX_LENGTH} bytes")
    try:
        text = command.decode()
    except UnicodeDecodeError as exc:
        raise Rejected("the command is not UTF-8") from exc
    for character in text:
        if ord(character) < 32 or 127 <= ord(character) < 160:
            raise Rejected(f"control characters are not allowed: {ascii(text[:120])}")
    if not text.strip():
        raise Rejected("empty command (interactive session not allowed)")
    try:
        words = shlex.split(text)
    except ValueError as exc:
        raise Rejected(f"command parse error: {exc}") from exc
    while words and _ASSIGNMENT.fullmatch(words[0]):
        del words[0]
    if not words:
        raise Rejected("empty command after stripping variable assignments")
    return words


def decide(
    words: Sequence[str], settings: Settings, text: str = "", *, parameters: Callable[[], Mapping[str, Any]] = dict
) -> Decision:
    """Return what to execute for these words; `text` is what they came from. Raises Rejected.

    `parameters`: reads those of a service from standard input, if that is where they are.
    """
    helper, arguments = words[0], words[1:]
    if helper not in HELPERS or helper not in settings.helpers:
        raise Rejected(f"command not in whitelist: {(text or shlex.join(words)).strip()[:120]!r}")
    if settings.read_only and helper in _CHANGING:
        raise Rejected(f"{helper} is not allowed with --read-only")
    if helper in _WITH_PATHS:
        PathPolicy(settings).require()
    if wants_help(arguments):
        return Decision(helper, ("--help",))
    if wants_version(arguments):
        return Decision(helper, ("--version",))
    try:
        call = parse(helper, arguments)
        if "parameters-stdin" in call.options:
            call = call.replaced(parameters=json.dumps(parameters()), parameters_stdin=None)
    except GrammarError as exc:
        raise Rejected(exc.complaint(helper)) from exc
    call, guarded = _judged(call, settings)
    data = str(call.options.get("parameters", ""))
    if data:  # no other user of this machine is to see them
        call = call.replaced(parameters=None, parameters_stdin=True)
    again = call.argv()
    if parse(helper, again[1:]) != call:
        raise Rejected("the command has no unambiguous form")
    return Decision(helper, (OPTION, guarded.text(), *again[1:]), data.encode())


def _judged(call: Invocation, settings: Settings) -> tuple[Invocation, Guarded]:
    """Return the call with resolved paths and addresses, and what the helper has to know of the decision."""
    policy = PathPolicy(settings)
    if call.helper == "rhl-clear":
        paths = tuple(policy.to_clear(word) for word in call.words)
    elif call.helper == "rhl-ps-persistent":
        marker = call.options.get("marker")
        paths = tuple(policy.to_list(word, None if marker is None else str(marker)) for word in call.words)
    elif call.helper in ("rhl-launch-service", "rhl-ensure"):
        from seamless.launcher.guard.launching import judge_launch

        return judge_launch(call, settings)
    else:
        if call.helper in ("rhl-verify-port", "rhl-handshake"):
            from seamless.launcher.guard.probes import judge_port, judge_url

            call = judge_port(call) if call.helper == "rhl-verify-port" else judge_url(call)
        elif call.helper == "rhl-rm" and ("server" in call.options or "client" not in call.options):
            _refuse_to_orphan(call.words)
        return call, Guarded()
    return call._replace(words=tuple(path.path for path in paths)), Guarded(paths, settings.markers)


def _refuse_to_orphan(keys: Sequence[str]) -> None:
    """Raise Rejected if one of these services lives: without its state nothing counts it or can stop it."""
    for key in keys:
        process = recorded_process(read_state_or_none(state_path(key)) or {})
        if process is not None:
            raise Rejected(f"{key} still runs (pid {process.pid}); stop it first: rhl-stop {key}")
