"""`seamless help`: the help of a command, or a page of the manual, which is installed with the package.

Pages are Markdown, and shown as they are; on a terminal by the pager.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from seamless.cli.common import OK, USAGE, fail, is_terminal

PROG = "seamless help"
_PAGES = ("tutorial.md", "security.md", "architecture.md", "compare.md")


def show(words: Sequence[str]) -> int:
    """Show what is known of a topic; return the exit status."""
    from seamless.cli.umbrella import build_parser, main
    from seamless.cli.verbs import find

    if words and words[0] in ("-h", "--help"):
        words = ()
    if not words:
        _print(build_parser().format_help() + "\n" + _list_of_pages())
        return OK
    if find(list(words)) is not None:
        return main([*words, "--help"])
    topic = "-".join(words).lower()
    page = pages().get(topic.removesuffix(".md").removeprefix("howto/"))
    if page is None:
        fail(PROG, f"there is no verb and no page {topic!r}. {_suggestion(topic)}", USAGE)
    with open(page, encoding="utf-8") as file:
        _print(file.read())
    return OK


def pages() -> dict[str, str]:
    """Return the pages of the manual: topic -> path. Empty if the manual is not installed."""
    directory = manual()
    if directory is None:
        return {}
    found: dict[str, str] = {}
    for folder in ("", "howto", "reference"):
        path = os.path.join(directory, folder)
        for name in sorted(os.listdir(path)) if os.path.isdir(path) else ():
            if name.endswith(".md") and (folder or name in _PAGES):
                found.setdefault(name[:-3], os.path.join(path, name))
    return found


def manual() -> str | None:
    """Return the directory of the manual: that of the checkout, else the installed one above the package."""
    place = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    candidates = [os.path.join(place, "docs")]
    while place != os.path.dirname(place):
        candidates.append(os.path.join(place, "share", "doc", "seamless"))
        place = os.path.dirname(place)
    return next((path for path in candidates if os.path.isfile(os.path.join(path, "tutorial.md"))), None)


def _list_of_pages() -> str:
    found = pages()
    if not found:
        return "The manual is not installed beside this package.\n"
    lines = [f"  {name.ljust(28)}{_title(path)}" for name, path in found.items()]
    return "pages of the manual (seamless help PAGE):\n" + "\n".join(lines) + "\n"


def _title(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return next((line[2:].strip() for line in file if line.startswith("# ")), "")


def _suggestion(topic: str) -> str:
    from difflib import get_close_matches

    from seamless.cli.verbs import all_verbs

    known = [*pages(), *all_verbs()]
    close = get_close_matches(topic, known, 3, 0.6) or sorted({name for name in known if topic in name})[:5]
    if close:
        return f"Did you mean {' or '.join(repr(name) for name in close)}?"
    return "'seamless help' lists all."


def _print(text: str) -> None:
    if is_terminal(sys.stdout) and is_terminal(sys.stdin):
        import pydoc

        pydoc.pager(text)
    else:
        sys.stdout.write(text)
