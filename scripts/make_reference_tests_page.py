"""Write `docs/reference-tests.md` from the list of differences in `tests/interop/reference_differences.json`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from run_reference_tests import Difference, Expected, read_expected  # noqa: E402

PAGE = ROOT / "docs" / "reference-tests.md"

HEAD = """\
# The reference's own tests

The packages of Seamless 1.4 bring {total} tests. They run here through the import names of 1.4 (`seamless_config`,
`seamless_transformer`, ...) and through the commands. A test in `tests/interop/test_reference_suite.py` fails if any of
them ends otherwise than this page says: one that passed and does not, and one that is listed and does.

| | tests |
|---|---|
{summary}

## By package

| package | version | tests | pass | {heads} |
|---|---|---|---|{rules}|
{packages}

{left}

## How they are run

```sh
$ pip download --no-deps --no-binary {name} {requirement} ...
$ python scripts/run_reference_tests.py DIRECTORY --expected tests/interop/reference_differences.json
```

Each file runs in a process and a home directory of its own. Code of 1.4 is never found. What the source archives lack
is in `tests/interop/reference_support`, written anew: fixtures of the hashserver's tests, schemas with their headers,
small programs. There, too, is what plays the private state that tests of the configuration reset, and functions inside
of upload and download, which call the commands of this package; and the schedulers of the tests for Dask, which are
real daskservers with their stores. A module of 1.4 that does not exist here is an empty one, so that only those tests
fail that use something of it.

The same runner with `--no-aliases --python PYTHON` runs them for an installation of 1.4.

## Each difference, and why
"""


def word(number: int) -> str:
    """Return a number of tests as text."""
    return f"{number} test" if number == 1 else f"{number} tests"


def package_of(difference: Difference) -> str:
    """Return the package that the tests of a difference belong to."""
    return difference.tests[0].partition("/")[0]


def counts(expected: Expected) -> dict[str, Counter[str]]:
    """Return for each package how many tests differ, by kind."""
    found: dict[str, Counter[str]] = {package: Counter() for package in expected.totals}
    for difference in expected.differences:
        found[package_of(difference)][difference.kind] += difference.count
    return found


def package_rows(expected: Expected) -> Iterator[str]:
    """Yield a row of the table for each package."""
    for package, kinds in counts(expected).items():
        total = expected.totals[package]
        cells = [package, expected.archives[package], total, total - sum(kinds.values())]
        yield "| " + " | ".join(str(cell) for cell in [*cells, *(kinds[kind] or "" for kind in expected.kinds)]) + " |"


def summary_rows(expected: Expected) -> Iterator[str]:
    """Yield how many tests pass, and how many do not, by kind."""
    kinds = sum(counts(expected).values(), Counter[str]())
    total = sum(expected.totals.values())
    yield f"| pass | {total - kinds.total()} |"
    for kind, what in expected.kinds.items():
        yield f"| *{kind}*: {what} | {kinds[kind]} |"


def shown(pattern: str) -> str:
    """Return a pattern as it is shown: the package is in the heading, and all files are in `tests`."""
    return "`" + pattern.partition("/")[2].removeprefix("tests/").removesuffix("::*") + "`"


def difference_sections(expected: Expected) -> Iterator[str]:
    """Yield a section for each package with differences."""
    for package in expected.totals:
        rows = [difference for difference in expected.differences if package_of(difference) == package]
        if not rows:
            continue
        yield f"\n### {package}\n\n| tests | | kind | why |\n|---|---|---|---|"
        for row in rows:
            yield f"| {', '.join(map(shown, row.tests))} | {row.count} | {row.kind} | {row.reason} |"


def page() -> str:
    """Return the page."""
    expected = read_expected()
    name, version = next(iter(expected.archives.items()))
    left = sum(difference.count for difference in expected.differences if not difference.run)
    head = HEAD.format(
        total=sum(expected.totals.values()),
        summary="\n".join(summary_rows(expected)),
        heads=" | ".join(expected.kinds),
        rules="|".join("---" for _ in expected.kinds),
        packages="\n".join(package_rows(expected)),
        left=f"{word(left)} of them are not run by that test: they assert durations, take minutes, or do not end.",
        name=name,
        requirement=f"{name}=={version}",
    )
    return head + "\n".join(difference_sections(expected)) + "\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
