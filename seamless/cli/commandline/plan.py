"""From the options of a command line to a Plan: the only entrance to the analysis."""

from __future__ import annotations

from seamless.cli.commandline.data import Input, Plan, PlanOptions, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Input", "Plan", "PlanOptions", "Target", "make_plan"]


def make_plan(
    options: PlanOptions,
    *,
    cwd: str | None = None,
    wait_future: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Plan:
    """Analyse the command line."""
    raise NotImplementedError
