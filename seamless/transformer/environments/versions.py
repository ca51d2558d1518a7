"""Versions as people write them: compared number by number; requirements such as `>=1.10,<2` and `1.17.*`."""

from __future__ import annotations

import re

_TERM = re.compile(r"(==|>=|<=|!=|~=|=|>|<)?\s*([\w.*+!-]+)")
_PARTS = re.compile(r"\d+|[a-z]+")


def key(version: str) -> list[tuple[int, int, str]]:
    """Return what sorts versions: numbers by value, words before numbers.

    >>> key("1.9") < key("1.10"), key("2.0rc1") < key("2.0")
    (True, True)
    """
    parts = _PARTS.findall(version.lower())
    words = next((i for i, part in enumerate(parts) if not part.isdigit()), len(parts))
    release = parts[:words]
    while release and not int(release[-1]):
        release.pop()  # 1.0 is 1
    return [*((1, int(p), "") if p.isdigit() else (-1, 0, p) for p in [*release, *parts[words:]]), (0, 0, "")]


def satisfies(version: str, requirement: str) -> bool:
    """Tell whether a version is as required: terms joined by `,` and alternatives by `|`. Nothing requires nothing.

    >>> satisfies("1.17.2", ">=1.10,<2"), satisfies("3.1", "=3"), satisfies("3.11", "3.1.*"), satisfies("2.0", "==2")
    (True, True, False, True)
    """
    requirement = requirement.strip()
    if not requirement or requirement == "*":
        return True
    return any(all(_term(version, term) for term in part.split(",")) for part in requirement.split("|"))


def _term(version: str, term: str) -> bool:
    match = _TERM.match(term.strip())
    if match is None:
        return True
    operator, wanted = match[1] or "=", match[2]
    if wanted.endswith("*"):
        prefix = wanted.rstrip("*").rstrip(".")
        same = not prefix or version == prefix or version.startswith(prefix + ".")
        return not same if operator == "!=" else same
    have, want = key(version), key(wanted)
    if operator == "=":  # of conda: the version or one below it
        return have == want or version.startswith(wanted + ".")
    if operator == "~=":
        return have >= want and version.split(".")[: wanted.count(".")] == wanted.split(".")[:-1]
    return {
        "==": have == want,
        "!=": have != want,
        ">=": have >= want,
        "<=": have <= want,
        ">": have > want,
        "<": have < want,
    }[operator]
