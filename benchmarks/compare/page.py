"""The page `docs/compare.md`: the numbers of a run, the code of the task for each tool, and when to use which."""

from __future__ import annotations

from benchmarks.compare.tools import TASKS, TOOLS

Measured = dict[str, tuple[float, int]]  # situation -> multiple of the plain script, steps executed

SITUATIONS = {
    "first": "the first time",
    "again": "again, nothing changed",
    "touched": "again, all texts have a new date, the same content",
    "one changed": "again, one text has changed",
    "results deleted": "again, the result files are deleted",
}

HEAD = """<!-- Made by python -m benchmarks.compare; do not edit. -->

# Compared with other tools

One small task with several tools: count the words of ten texts, each text by itself, then add the counts. That is ten
steps and one that needs them all. The steps are short, so what the tools take themselves shows;
with steps of minutes it does not matter, and only the number of executed steps does.

"""

MEASURED = """
The numbers are times as multiples of the plain shell script, which executes every step every time, and behind them how
many of the eleven steps were executed. Each time is compared with that of the plain script run right after it on the
same texts; the column of the plain script, compared with itself, shows how much the numbers waver on this Linux
machine, which had other work besides. Each tool has a home and a cache of its own and executes one step at a time, but
for redun, which has threads. The numbers are medians of ROUNDS rounds; differences of a third mean nothing.
`python -m benchmarks.compare` measures and writes this page.

"""

WHEN = """
## When to use which

**make** is everywhere and has no start-up time to speak of. Use it for building software, and for a handful of files
on one machine, if a date is a good enough sign of a change. It executes again after a `git checkout`, a copy or a
`touch`, notices no change of the command itself, and knows nothing of results that somebody else has computed.

**Snakemake** plans the whole workflow from its rules. Use it if you want rules with wildcards, a graph, a report, one
conda environment a rule and ready-made workflows of a large community. It looks at dates, code and parameters, and at
the content of small files, so the new dates above made it execute nothing; results belong to the directory in which
they were made.

**datalad run** notes in git what was executed and on what. Use it if the point is the history of a data set: who made
this file, with which command, from which version, and how to get the data from where they are. It executes what you
tell it to; it does not look whether that is needed.

**redun** caches calls of Python functions, with their calls in turn, in a database. Use it if a workflow is a Python
program whose shape is known only as it runs, on AWS for instance. A file counts as changed by date and size.

**joblib.Memory** is one decorator. Use it for functions within one Python program, on one machine, whose arguments fit
into memory. It does not know files, so their content is to be given as arguments, and does not clear up by itself.

**Plain shell**: if everything takes seconds, nothing beats executing it again.

**Seamless** tells a step by the content of code and inputs. Use it if the same step must be the same on a laptop, in a
Python program and on a cluster, for you and for others: it is executed once for all of them. It has no rules to be
resolved backwards from a file to be made: a line is executed when you write it. Commands see only their declared
inputs, which are copied for them. You pay for that: above, the first time takes three times as long as the plain
script, and each line starts a process even if nothing is to be done, where make looks at all files at once. For steps
of milliseconds it is the wrong tool; the longer a step takes, the less any of this matters.
"""


def page(measured: dict[str, Measured], missing: dict[str, str], rounds: int) -> str:
    """Return the page. `missing`: name of a tool -> why it was not measured."""
    text = HEAD + table(measured) + MEASURED.replace("ROUNDS", str(rounds))
    for name, reason in missing.items():
        text += f"Not measured: {name} ({reason}).\n"
    text += "\n## The code\n\nThe two commands of the task note each execution; otherwise they are:\n\n"
    text += block("sh", steps())
    for tool in TOOLS:
        code = (TASKS / tool.file).read_text(encoding="utf-8")
        text += f"\n### {tool.name}\n\n" + (
            f"Once: `{'; '.join(' '.join(argv) for argv in tool.setup[:1])}`, then `datalad save`. "
            if tool.setup
            else ""
        )
        text += f"`{' '.join(tool.argv)}`\n\n" + block(tool.language, code.removeprefix("#!/usr/bin/env bash\n"))
    return text + WHEN


def table(measured: dict[str, Measured]) -> str:
    """Return the table of times."""
    lines = ["| | " + " | ".join(measured) + " |", "|---" * (len(measured) + 1) + "|"]
    for situation, title in SITUATIONS.items():
        cells = []
        for found in measured.values():
            value, executed = found[situation]
            cells.append(f"{ratio(value)} ({executed})")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    sizes = [str(lines_of(tool.file)) for tool in TOOLS if tool.name in measured]
    lines.append("| lines of code | " + " | ".join(sizes) + " |")
    return "\n".join(lines) + "\n"


def ratio(value: float) -> str:
    """Return a ratio with two digits.

    >>> ratio(0.0123), ratio(1.04), ratio(23.4)
    ('0.01', '1.0', '23')
    """
    return f"{value:.2f}" if value < 0.095 else f"{value:.1f}" if value < 9.5 else f"{value:.0f}"


def lines_of(name: str) -> int:
    """Return the number of lines with code in a file of the task."""
    lines = (TASKS / name).read_text(encoding="utf-8").splitlines()
    return sum(bool(line.strip()) and not line.startswith(("#", "set -euo")) for line in lines)


def steps() -> str:
    """Return what the commands of the task do."""
    found = []
    for name in ("count-words", "merge-counts"):
        last = (TASKS / "bin" / name).read_text(encoding="utf-8").splitlines()[-1]
        found.append(f"{name}:  {last}")
    return "\n".join(found)


def block(language: str, code: str) -> str:
    """Return a block of code."""
    return f"```{language}\n{code.strip()}\n```\n"
