"""List the licence of every locked Python package, as the package itself states it. Reads what is installed here."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
# Anyone may use, change and pass on these, also in closed programs; MPL asks for changes of its own files.
ACCEPTED = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
    "Unlicense", "Zlib",
})  # fmt: skip
# What older packages write for these.
_WORDS = {
    "apache 2.0": "Apache-2.0", "apache software license": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause", "bsd license": "BSD-3-Clause", "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause", "isc license": "ISC", "isc license (iscl)": "ISC", "mit license": "MIT",
    "python software foundation license": "PSF-2.0",
}  # fmt: skip


class Licence(NamedTuple):
    """What a package states; `accepted`: whether every part of it may be used as ours may."""

    package: str
    version: str
    text: str
    accepted: bool


def locks() -> list[Path]:
    """Return the files that name the Python packages of images and environments."""
    found = sorted([*ROOT.glob("images/*.lock"), *ROOT.glob("conda/*/requirements.lock")])
    return [path for path in found if not path.name.endswith(".packages.lock")]


def locked_packages() -> list[str]:
    """Return the names of all locked packages, each once."""
    found: set[str] = set()
    for path in locks():
        found.update(re.findall(r"^([\w.-]+)(?:\[.*?\])?==", path.read_text(), re.MULTILINE))
    return sorted(name.lower().replace("_", "-") for name in found)


def licence_of(package: str) -> Licence | None:
    """Return the licence of an installed package, None if it is not installed."""
    try:
        stated = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return None
    text = stated.get("License-Expression")
    if not text:
        texts = list(_older(stated.get("License"), stated.get_all("Classifier") or []))
        text = next((one for one in texts if is_accepted(one)), texts[0] if texts else "not stated")
    return Licence(package, stated.get("Version", ""), text, is_accepted(text))


def _older(field: str | None, classifiers: list[str]) -> Iterator[str]:
    """Yield what is stated in the ways that came before licence expressions."""
    for line in [*(field or "").splitlines()[:1], *(c.rpartition(" :: ")[2] for c in classifiers if "License ::" in c)]:
        yield _WORDS.get(line.strip().lower(), line.strip())


def is_accepted(expression: str) -> bool:
    """Tell whether all parts of a licence expression are accepted, or of alternatives one.

    >>> is_accepted("Apache-2.0 AND MIT"), is_accepted("GPL-3.0-only OR MIT"), is_accepted("GPL-3.0-only AND MIT")
    (True, True, False)
    """
    alternatives = re.split(r"\s+OR\s+", expression.replace("(", "").replace(")", ""))
    return any(all(part in ACCEPTED for part in re.split(r"\s+AND\s+", one)) for one in alternatives)


def main() -> int:
    """Return 0 if every licence is known and accepted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    missing, refused = [], []
    for package in locked_packages():
        found = licence_of(package)
        if found is None:
            missing.append(package)
            continue
        print(f"{found.package:26} {found.version:16} {found.text}")
        if not found.accepted:
            refused.append(package)
    for text, names in (("not installed here, so not known", missing), ("to be looked at", refused)):
        if names:
            print(f"{text}: {', '.join(names)}", file=sys.stderr)
    return 1 if missing or refused else 0


if __name__ == "__main__":
    sys.exit(main())
