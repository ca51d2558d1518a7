"""Steps for jobs, each of which notes when it is executed, and what came of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 240.0


class Steps:
    """The file `commands.txt` with `number` command lines; `seconds` is how long each takes.

    `free`: the lines after so many do not end before `open_gate`: jobs that are ended earlier are never done.
    `options`: those of seamless-run that tell the lines where to note things.
    """

    def __init__(self, work: Path, number: int, seconds: float, *, free: int | None = None):
        self.work, self.number, self.log, self.gate = work, number, work / "log", work / "gate"
        self.log.touch()
        self.log.chmod(0o666)
        self.options = ["--metavar", f"LOG={self.log}", "--metavar", f"GATE={self.gate}"]
        wait = 'until [ -e "$GATE" ]; do sleep 0.2; done; '
        lines = [
            f'(echo {n} >> "$LOG"); sleep {seconds}; {wait if free is not None and n > free else ""}echo result {n}'
            for n in range(1, number + 1)
        ]
        (work / "commands.txt").write_text("".join(f"{text}\n" for text in lines))

    def open_gate(self) -> None:
        """Let the lines end that wait."""
        self.gate.touch()

    @property
    def executed(self) -> Counter[int]:
        """How often each step was begun."""
        return Counter(int(line) for line in self.log.read_text().splitlines() if line.isdigit())

    def delivered(self, pattern: str) -> set[int]:
        """Return the steps whose result is in the output of jobs: these had finished."""
        text = "\n".join(path.read_text() for path in self.work.glob(pattern))
        return {int(line.split()[1]) for line in text.splitlines() if line.startswith("result ")}

    def check(self, pattern: str, finished: set[int]) -> None:
        """Check that all are done, those that had finished once, and no other more than twice."""
        shown = "\n".join(f"{path}: {path.read_text()}" for path in self.work.glob(pattern))
        assert self.delivered(pattern) == set(range(1, self.number + 1)), shown
        twice = {n for n, times in self.executed.items() if times > 1}
        assert twice & finished == set(), shown
        assert max(self.executed.values()) <= 2, self.executed
