"""The input of the demonstration, made from the sources of the Python library that runs it.

Writes `corpus.txt`, their whole text, and `modules.csv`: which module uses which name how often.
"""

from __future__ import annotations

import collections
import csv
import re
import sys
import sysconfig
from pathlib import Path

LIMIT = 20_000_000  # bytes of text
NAME = re.compile(r"[A-Za-z_]{3,}")


def sources() -> list[Path]:
    """Return the modules of the standard library in a fixed order, without its tests."""
    library = Path(sysconfig.get_paths()["stdlib"])
    foreign = {"site-packages", "dist-packages", "test", "tests", "idlelib", "encodings", "__pycache__"}
    return sorted(path for path in library.rglob("*.py") if not foreign.intersection(path.relative_to(library).parts))


def main() -> None:
    """Write both files into the directory named by the first argument."""
    directory = Path(sys.argv[1])
    size = 0
    with (
        open(directory / "corpus.txt", "w", encoding="utf-8") as corpus,
        open(directory / "modules.csv", "w", encoding="utf-8", newline="") as table,
    ):
        writer = csv.writer(table)
        writer.writerow(["module", "name", "count"])
        for path in sources():
            text = path.read_text(encoding="utf-8", errors="replace")
            size += len(text)
            if size > LIMIT:
                break
            corpus.write(text)
            names = collections.Counter(NAME.findall(text))
            if len(names) >= 100 and not path.stem.startswith("_sysconfigdata"):
                writer.writerows([path.stem, name, count] for name, count in sorted(names.items()))
    print(f"Input: {(directory / 'corpus.txt').stat().st_size / 1e6:.1f} MB of Python, and a table of its names")


if __name__ == "__main__":
    main()
