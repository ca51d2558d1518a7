"""Files that a line seems to read although they are no inputs: the words that nobody has typed, and the patterns.

A matter of a few `stat` calls, or of listing a directory. Nothing is refused: that a word is the name of a file here
may mean nothing.
"""

from __future__ import annotations

import os

from seamless.cli.commandline.line import ParsedLine
from seamless.cli.commandline.mapping import Mapper, relative_to
from seamless.cli.commandline.results import Targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seamless.cli.commandline.data import Input

# Their words are text, or names of files that they make or delete.
_NOT_READING = frozenset(("echo", "printf", "export", "set", "cd", "mkdir", "touch", "rm", "true", "exit", "test", "["))
_SYSTEM = ("/dev", "/proc", "/sys", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")


def warnings(
    line: ParsedLine, typed: set[int], mapper: Mapper, targets: Targets, inputs: Iterable[Input]
) -> Iterator[str]:
    """Yield a sentence for each word of the other commands (not in `typed`) that is the name of a file here.

    And for each word of all commands that is a pattern of which no file is an input.
    """
    known = [mapper.absolute(entry.path or entry.name) for entry in inputs]
    seen = {mapper.absolute(r.target.text) for r in line.all_redirects() if r.writes_file and r.target is not None}
    for index, command in enumerate(line.commands):
        if not command.words or command.words[0].text in _NOT_READING:
            continue
        for word in command.words[1:]:
            if word.expands or not word.text or word.text.startswith("-"):
                continue
            if word.text == line.source[word.start : word.end] and is_wild(word.text):
                found = [path for path in _files_of(word.text, mapper) if not targets.is_output(path)]
                if found and all(relative_to(path, place) is None for path in found for place in (*known, *_SYSTEM)):
                    yield (
                        f"'{word.text}' stands for {os.path.relpath(found[0], mapper.cwd)}"
                        f"{' and others' if len(found) > 1 else ''} here, but none of that is an input, and the step "
                        f"sees inputs only: declare it with -i '{word.text}'"
                    )
            if index in typed:
                continue
            path = mapper.absolute(os.path.expanduser(word.text))
            if path in seen or targets.is_output(path) or not os.path.isfile(path):
                continue
            seen.add(path)
            if all(relative_to(path, place) is None for place in (*known, *_SYSTEM)):
                yield (
                    f"'{word.text}' is a file here, but not an input: only the words of the first pipeline are. "
                    f"If the command reads it, declare it with -i {word.text}"
                )


def is_wild(text: str) -> bool:
    """Tell whether bash may find files by this text."""
    return "*" in text or "?" in text or "[" in text


def _files_of(pattern: str, mapper: Mapper) -> list[str]:
    """Return the absolute paths of the files and directories that bash would find here."""
    import glob

    return [mapper.absolute(name) for name in sorted(glob.glob(pattern, root_dir=mapper.cwd))]
