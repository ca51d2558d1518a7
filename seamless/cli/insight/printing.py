"""How explanations and other answers look in text: one thing a line, what belongs to it indented below."""

from __future__ import annotations

from collections.abc import Iterator

from seamless.cli.common import format_size
from seamless.insight.collection import Plan
from seamless.insight.differences import Difference
from seamless.insight.explanation import Explanation
from seamless.insight.relatives import Relative
from seamless.insight.verification import Verdict

_CODE_LINES = 20


def explanation_lines(found: Explanation) -> Iterator[str]:
    """Yield what is known of a step, as lines."""
    definition = found.definition
    yield f"transformation  {found.checksum}"
    yield f"language        {definition.language}, result {definition.output}"
    for name in sorted(definition.pins, key=lambda name: (name != "code", name)):
        pin = definition.pins[name]
        value = found.values.get(name)
        if name == "code" and value is not None:
            yield f"code            {pin.checksum}"
            lines = value.splitlines()
            yield from (f"  | {line}" for line in lines[:_CODE_LINES])
            if len(lines) > _CODE_LINES:
                yield f"  | ... {len(lines) - _CODE_LINES} more lines"
        else:
            yield f"pin             {name}  ({pin.celltype})  {pin.checksum}{'' if value is None else f'  = {value}'}"
    for key in sorted(definition.keys.keys() - {"__format__"}):
        yield f"key             {key}  {definition.keys[key].strip()[:80]}"
    yield f"state           {_state(found)}"
    if found.record and "wall_time_seconds" in found.record:
        version = found.record.get("seamless_version")
        yield f"record          took {found.record['wall_time_seconds']:.3g} s, with Seamless {version}"
    if found.reasons:
        yield "history"
        yield from (f"  {reason}" for reason in found.reasons)
    if not found.relatives:
        yield "relatives       none: nothing like it is cached here"
    for relative in found.relatives:
        yield from relative_lines(relative)


def _state(found: Explanation) -> str:
    if found.result is None:
        return "unknown: it has to run"
    if found.stored:
        return f"cached: result {found.result}"
    return f"known: result {found.result}, whose content is not stored and would be computed again"


def relative_lines(relative: Relative) -> Iterator[str]:
    """Yield a relative with what differs: `-` is how it is there, `+` how it is here."""
    count = len(relative.differences)
    yield f"relative        {relative.checksum}, cached; {count} {'thing differs' if count == 1 else 'things differ'}:"
    for one in relative.differences:
        yield f"  {difference_line(one)}"
        yield from (f"    {line}" for line in one.details)


def difference_line(one: Difference) -> str:
    """Return a difference without its details."""
    what = (
        one.kind if one.kind in ("code", "language") else f"{one.kind} {one.name}" if one.kind != "result" else "result"
    )
    if one.change == "renamed":
        return f"pin {one.there} is called {one.here} here"
    if one.change == "added":
        return f"{what} is not there"
    if one.change == "removed":
        return f"{what} is only there"
    return f"{what} {_short(one.there)} -> {_short(one.here)}"


def _short(text: str | None) -> str:
    text = (text or "?").strip()
    return f"{text[:12]}.." if len(text) > 40 else text


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the table of what would go from a store."""
    yield f"{plan.place.label}: {format_size(plan.size)} in {plan.place.buffers}"
    yield f"  {'what':<12}{'buffers':>10}{'size':>12}{'go':>10}{'freed':>12}"
    for kind, count in plan.kinds.items():
        sizes = format_size(count.size), format_size(count.freed)
        yield f"  {kind:<12}{count.buffers:>10}{sizes[0]:>12}{count.go:>10}{sizes[1]:>12}"
    excess = plan.size - plan.freed - plan.limit if plan.limit is not None else 0
    if excess > 0:
        yield f"  it stays {format_size(excess)} above the limit"
    if plan.withheld.go:
        size = format_size(plan.withheld.freed)
        yield f"  {plan.withheld.go} more ({size}) cannot be computed again; they stay without --irreplaceable"
    if plan.pinned:
        yield f"  {plan.pinned} stay because they are pinned, or needed by a step that is executed now"
    if plan.unknown:
        yield f"  {plan.unknown} results stay because the definitions of their steps are not stored"


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Yield what a verification has shown."""
    if verdict.outcome == "same":
        yield f"same            {verdict.step}: the result {verdict.cached} again"
        return
    if verdict.outcome == "failed":
        yield f"failed          {verdict.step}: {verdict.error}"
        return
    yield f"{verdict.outcome:<16}{verdict.step}"
    yield f"  cached        {verdict.cached}"
    yield f"  now           {verdict.new}"
    yield from (f"  {line}" for line in verdict.details)
    if verdict.witnesses:
        first, second = verdict.witnesses
        yield f"  witness       {first}" + (" from both" if first == second else f" -> {second}")
    yield from (f"  registered as irreproducible in {name}" for name in verdict.registered)
