#!/usr/bin/env python3
"""Write the pages of `docs/reference/` from the code: `make_reference.py [--check]`.

Options come from the parsers, signatures and docstrings from the sources, tables from the modules that own them. What
no code can tell (the meaning of a variable, the form of a file) is in the tables below; a test compares them with the code.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference"
NOTE = "<!-- Made by scripts/make_reference.py; do not edit. -->\n\n"


class Variable(NamedTuple):
    """An environment variable; `default` is Markdown."""

    name: str
    default: str
    meaning: str


def own_variables() -> list[Variable]:
    """Return the variables that begin with SEAMLESS_."""
    from seamless.cli.common import format_size
    from seamless.cli.running import limits

    return [
        Variable(
            "SEAMLESS_BUFFER_CACHE_HARD_CAP",
            "50 GiB, at most half of the memory",
            "How many bytes buffers may take in memory, whatever it costs to get them back. A number, or one with "
            "`K`, `M`, `G`, `T` (powers of 1024).",
        ),
        Variable(
            "SEAMLESS_BUFFER_CACHE_SOFT_CAP",
            "5 GiB, at most a quarter of the memory",
            "From how many bytes on buffers that are cheap to get back leave the memory. As above.",
        ),
        Variable(
            "SEAMLESS_CACHE",
            "command line: `$XDG_CACHE_HOME/seamless`, else `~/.cache/seamless`; Python: nothing is kept",
            "The cache directory. `~` is expanded; a blank value counts as none.",
        ),
        Variable(
            "SEAMLESS_COMPUTE_THREADS",
            "number of processors + 4, at most 32",
            "How many steps of a Python program may be executed at once.",
        ),
        Variable(
            "SEAMLESS_DEBUG_SHUTDOWN", "off", "Any value: `seamless.close()` tells on standard error what it does."
        ),
        Variable(
            "SEAMLESS_MAX_DOWNLOAD_FILES",
            f"{limits._MAX_FILES}",
            "`seamless-run`: above so many files for one target it asks before it writes them.",
        ),
        Variable(
            "SEAMLESS_MAX_DOWNLOAD_SIZE",
            format_size(limits._MAX_SIZE).replace(".00", ""),
            "The same for their size. Units `kB`, `MB`, `GB` are powers of 1000; `k`, `M`, `G`, `KiB`, ... of 1024.",
        ),
        Variable(
            "SEAMLESS_TRACEBACK", "off", "Any value but `0`: commands show the traceback of an error (`--debug`)."
        ),
    ]


OTHER_VARIABLES = [
    Variable("COLUMNS", "width of the terminal", "Width of the help texts, at most 80."),
    Variable("CONDA_DEFAULT_ENV", "set by conda", "With `CONDA_PREFIX`: in which environment a Python step runs."),
    Variable("CONDA_EXE", "`conda`", "The conda that is asked for its root if `CONDA_ROOT` is not set."),
    Variable("CONDA_PREFIX", "set by conda", "See `CONDA_DEFAULT_ENV`."),
    Variable("CONDA_ROOT", "`conda info --base`", "Where `etc/profile.d/conda.sh` is, for steps with `--conda`."),
    Variable("HOME", "set at login", "The home directory: `~` in names, and the cache directory."),
    Variable("NO_COLOR", "off", "Any value: no colours on a terminal."),
    Variable("PATH", "set at login", "Where commands are looked for."),
    Variable("PWD", "set by the shell", "The current directory by the name under which you entered it."),
    Variable("TERM", "set by the terminal", "`dumb`: no colours."),
    Variable("TMPDIR", "`/tmp`", "Where commands are executed, each in a directory of its own."),
    Variable("XDG_CACHE_HOME", "`~/.cache`", "The directory that holds the default cache directory."),
]

# celltype: (values that can be stored, bytes, what a step gets, an example as Python source or None)
CELLTYPES: dict[str, tuple[str, str, str, str | None]] = {
    "binary": ("a numpy array, or what makes one", "npy format", "read-only array, or numpy scalar", None),
    "mixed": (
        "plain values, arrays, bytes, and containers of these",
        "JSON in ASCII; npy for one array; else a stream of both",
        "the value; bytes come as an array of dtype S",
        "{'b': 1e-05, 'a': 'é'}",
    ),
    "text": ("text", "UTF-8, one newline at the end", "text without newlines at the end", "'two\\nlines'"),
    "python": ("Python source", "as `text`", "text, checked to be Python", "'x = 1'"),
    "ipython": ("IPython source", "as `text`", "text, checked to be IPython", "'%time x'"),
    "plain": (
        "None, bool, numbers, text; lists and dicts of these",
        "JSON in UTF-8: two spaces, sorted keys, one newline at the end",
        "the value; tuples come as lists",
        "{'b': 1e-05, 'a': 'é'}",
    ),
    "yaml": ("YAML text", "as `text`", "text, checked to be YAML", "'a: 1'"),
    "str": ("text, numbers", "a JSON string", "text", "'two\\nlines'"),
    "bytes": ("bytes, or an array's memory", "the bytes", "bytes", "b'\\x00\\x01'"),
    "int": ("what `int()` takes", "a JSON integer", "int", "42"),
    "float": ("what `float()` takes, not NaN or infinite", "a JSON number", "float", "3"),
    "bool": ("any value", "`true` or `false`", "bool", "True"),
    "checksum": (
        "a checksum, or lists and dicts of them",
        "JSON with hexadecimal strings",
        "in Python: the text; as a pin: the value behind it",
        None,
    ),
    "deepcell": (
        "nested dict or list; each leaf is stored by itself as `mixed`",
        "as `plain`, with checksums as leaves",
        "the structure with Checksum objects",
        None,
    ),
    "deepfolder": ("dict: path to bytes", "as `plain`: path to checksum", "dict: path to Checksum", None),
    "folder": ("dict: path to bytes", "as `plain`: path to checksum", "dict: path to bytes", None),
    "module": ("the definition of a Python module", "as `plain`", "a module, not an argument", None),
}

# page section -> (module, names); `None`: all public names of the module
API: list[tuple[str, str, list[str]]] = [
    ("Steps", "seamless.transformer.transformer", ["direct", "delayed", "Transformer", "DirectTransformer"]),
    ("Transformations", "seamless.transformer.transformation", ["Transformation"]),
    (
        "Many steps",
        "seamless.transformer.parallelism",
        ["parallel", "parallel_async", "TransformationList", "TransformationIterableBase"],
    ),
    ("Environment of a step", "seamless.transformer.environment", ["Environment"]),
    ("Checksums", "seamless.checksum", ["Checksum"]),
    ("Buffers", "seamless.buffer", ["Buffer"]),
    (
        "Session",
        "seamless.shutdown",
        ["close", "ensure_open", "register_close_hook", "is_worker", "set_is_worker"],
    ),
    ("Cache directory", "seamless.config.embedded", ["activate_embedded"]),
    ("Cache directory, opened by hand", "seamless.stores.embedded", ["open_embedded", "EmbeddedStore"]),
    ("Celltypes", "seamless.celltypes", ["serialize", "parse", "convert", "canonical_json"]),
]


# --- Markdown -----------------------------------------------------------------------------------


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def code(text: str) -> str:
    """Return `text` as inline code."""
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def fence(text: str, language: str = "text") -> str:
    """Return `text` as a block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


# --- commands -----------------------------------------------------------------------------------


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each console script of this package."""
    found = {}
    for script in sorted(entry_points(group="console_scripts"), key=lambda script: script.name):
        if script.module.split(".")[0] == "seamless":
            module = importlib.import_module(script.module)
            if not hasattr(module, "build_parser"):
                module = importlib.import_module(f"{script.module}_options")
            found[script.name] = module.build_parser()
    return found


def epilog_sections(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """Return the lines of the sections (`examples`, `exit codes`) that end the help of a command."""
    sections: dict[str, list[str]] = {}
    for block in (parser.epilog or "").split("\n\n"):
        head, _, rest = block.partition(":\n")
        sections[head] = [line.strip() for line in rest.splitlines()]
    return sections


def exit_codes(parser: argparse.ArgumentParser) -> list[list[str]]:
    """Return [code, meaning] rows."""
    return [line.split(None, 1) for line in epilog_sections(parser).get("exit codes", [])]


def option_row(action: argparse.Action) -> list[str]:
    """Return the forms of an option or argument, and its meaning."""
    value = action.metavar if isinstance(action.metavar, str) else ""
    if not action.option_strings:
        return [code(value or action.dest), action.help or ""]
    optional = action.nargs == "?"
    forms = []
    for name in action.option_strings:
        if not value:
            forms.append(name)
        elif optional:
            forms.append(f"{name}[={value}]")
        else:
            forms.append(f"{name} {value}")
    return [", ".join(map(code, forms)), action.help or ""]


def commands_page() -> str:
    """Return the page of all commands and their options."""
    text = "# Commands\n\nEach command has `--help`. Options come before the words of a command that is to be run.\n"
    for name, parser in commands().items():
        text += f"\n## {name}\n\n{' '.join((parser.description or '').split())}\n\n"
        text += fence((parser.usage or "").replace("%(prog)s", name).replace("\n       ", "\n"))
        for group in parser._action_groups:
            rows = [option_row(a) for a in group._group_actions if a.help != argparse.SUPPRESS]
            if rows:
                text += f"\n**{group.title}**"
                text += f": {' '.join(group.description.split())}\n\n" if group.description else "\n\n"
                text += table(["option", "meaning"], rows)
        text += "\nExamples:\n\n" + fence("\n".join(epilog_sections(parser)["examples"]), "sh")
    return text


def exit_statuses_page() -> str:
    """Return the page of the exit statuses of all commands."""
    text = "# Exit statuses\n"
    for name, parser in commands().items():
        text += f"\n## {name}\n\n" + table(["status", "meaning"], exit_codes(parser))
        if name == "seamless-run":
            text += (
                "\nAny other status is that of the command, which has failed. So can 2, 124, 125 and 130 be, if the "
                "command itself ends so; the message tells which. As in bash, 126 says that a file cannot be executed, "
                "127 that a command was not found, and 128 + N that signal N has ended it.\n"
            )
    text += "\nA command whose output is no longer read (`| head`) ends with 141, as with other programs in a pipe.\n"
    return text


# --- environment --------------------------------------------------------------------------------


def environment_page() -> str:
    """Return the page of the environment variables."""
    text = "# Environment variables\n\n"
    rows = [[code(v.name), v.default, v.meaning] for v in own_variables()]
    text += table(["variable", "default", "meaning"], rows)
    text += "\n## Variables of others that are read\n\n"
    rows = [[code(v.name), v.default, v.meaning] for v in OTHER_VARIABLES]
    return text + table(["variable", "default", "meaning"], rows)


def documented_variables() -> set[str]:
    """Return the names of all variables on the page."""
    return {variable.name for variable in [*own_variables(), *OTHER_VARIABLES]}


# --- Python -------------------------------------------------------------------------------------


def paragraphs(docstring: str | None) -> str:
    """Return a docstring as Markdown."""
    return (docstring or "").strip()


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef, *, method: bool) -> str:
    """Return `name(arguments) -> result`."""
    arguments = ast.parse(ast.unparse(node)).body[0]
    assert isinstance(arguments, (ast.FunctionDef, ast.AsyncFunctionDef))
    if method and arguments.args.args and arguments.args.args[0].arg in ("self", "cls"):
        del arguments.args.args[0]
    prefix = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{prefix}{node.name}({ast.unparse(arguments.args)}){result}"


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the names of the decorators."""
    return {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}


def members(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield what is shown of each public member, and the first paragraph of its docstring."""
    for item in node.body:
        if not isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) or item.name.startswith("_"):
            continue
        kinds = decorators(item)
        if kinds & {"setter", "deleter"}:
            continue
        first = " ".join(paragraphs(ast.get_docstring(item)).split("\n\n")[0].split())
        yield (item.name if "property" in kinds else signature(item, method=True)), first


def described(node: ast.AST) -> str:
    """Return the Markdown of a function or class."""
    if isinstance(node, ast.ClassDef):
        initial = [i for i in node.body if isinstance(i, ast.FunctionDef) and i.name in ("__init__", "__new__")]
        arguments = signature(initial[0], method=True) if initial else f"{node.name}()"
        head = re.sub(r"^__\w+__|\) -> .*$", lambda m: node.name if m[0].startswith("__") else ")", arguments)
        text = f"### {node.name}\n\n{fence(head, 'py')}\n{paragraphs(ast.get_docstring(node))}\n"
        rows = [[code(shown), first] for shown, first in members(node)]
        return text + ("\n" + table(["member", ""], rows) if rows else "")
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    head = fence(signature(node, method=False), "py")
    return f"### {node.name}\n\n{head}\n{paragraphs(ast.get_docstring(node))}\n"


def module_tree(module: str) -> ast.Module:
    """Return the syntax tree of a module of the package."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def python_page() -> str:
    """Return the page of the Python names."""
    import seamless
    import seamless.transformer

    text = "# Python\n\nImport these names from `seamless`:\n\n"
    text += ", ".join(code(name) for name in seamless.__all__) + "\n\nand these from `seamless.transformer`:\n\n"
    text += ", ".join(code(name) for name in seamless.transformer.__all__)
    text += "\n\nThe others from the module that is named. In the tables, a member without brackets is a property.\n"
    for title, module, names in API:
        text += f"\n## {title}\n\nModule `{module}`.\n"
        nodes = {node.name: node for node in module_tree(module).body if hasattr(node, "name")}
        for name in names:
            text += "\n" + described(nodes[name])
    tree = ast.get_docstring(module_tree("seamless.errors")) or ""
    text += "\n## Errors\n\nModule `seamless.errors`.\n\n" + fence(
        re.sub(r"^.*?\n\n|\n\n[^\n]*$", "", tree, flags=re.S)
    )
    return text


# --- celltypes ----------------------------------------------------------------------------------


def celltypes_page() -> str:
    """Return the page of the celltypes, with examples made by the code itself."""
    from seamless.celltypes import ALL_CELLTYPES, serialize
    from seamless.celltypes.conversion import CONVERSIONS

    rows, examples = [], []
    for name in ALL_CELLTYPES:
        accepted, stored, given, example = CELLTYPES[name]
        rows.append([code(name), accepted, stored, given])
        if example is not None:
            stored_bytes = serialize(ast.literal_eval(example), name)
            examples.append([code(name), code(example), code(repr(stored_bytes)[1:])])
    text = "# Celltypes\n\nA celltype says with which bytes a value is stored. The checksum is the SHA-256 of these bytes.\n\n"
    text += table(["celltype", "takes", "bytes", "gives"], rows)
    text += (
        "\nThe last four are for collections and modules. A result can be of any celltype but `deepfolder` and `module`.\n"
        "\n## Examples\n\n"
    )
    text += table(["celltype", "value", "bytes"], examples)
    text += (
        "\n`plain` and `mixed` write the same JSON except for text beyond ASCII, numbers with a decimal exponent from -9 to -5, "
        "integers beyond 64 bits, NaN and infinities (the last three only in `mixed`). "
        "Then the same value has two checksums.\n\n## Conversions\n\n"
        "`checksum.convert(source, target)` and `buffer.convert(source, target)` convert. "
        "`=`: the bytes stay the same; `c`: they may change; `v`: the value decides; empty: impossible. "
        "Every conversion but some of `=` can fail for a value that the target does not have.\n\n"
    )
    marks = {"trivial": "=", "reinterpret": "=", "forbidden": "", "values": "v"}
    targets = list(CONVERSIONS)
    rows = [
        [f"**{source}**", *("" if t == source else marks.get(CONVERSIONS[source][t], "c") for t in targets)]
        for source in targets
    ]
    return text + table(["from / to", *targets], rows)


# --- formats ------------------------------------------------------------------------------------

FORMATS_HEAD = """# Formats

All text is UTF-8. A checksum is written as 64 lower-case hexadecimal digits. "Canonical JSON" is the form of celltype `plain`:
two spaces, sorted keys, one newline at the end.

## Sidecars

| file | content |
|---|---|
| `NAME.CHECKSUM` | the checksum of NAME and a newline: 65 bytes. If NAME ends in `.gz` or `.zst`, the ending is left out, and the checksum is that of the decompressed bytes. When read, blank lines around it and lines that begin with `#` are ignored |
| `DIR.INDEX` | canonical JSON, relative path to checksum, for each file below DIR; links to files are followed, links to directories are not |
| `DIR.CHECKSUM` | the checksum of the bytes of `DIR.INDEX` |
| `NAME.FUTURE` | NAME is being computed: the checksum of the transformation, a dot, the name of the target. It is touched every 30 seconds; when older than 120 seconds it is stale |

## Transformation

The identity is the SHA-256 of canonical JSON with these keys. Every value of a pin is a list of celltype, subcelltype (or null), and
checksum.

| key | value |
|---|---|
| `__language__` | `"python"`, `"bash"` |
| `__output__` | `["result", celltype, null]` |
| `code` | of Python: `["python", "transformer", checksum]`; of a command line: `["text", null, checksum]` |
| a name | a pin: an argument, an input file, a variable; a module is `["plain", "module", checksum]` |
| `__format__` | which pins are files or directories |
| `__as__`, `__schema__` | other names for pins; a signature |

These may accompany it, and do not count: `__meta__`, `__env__`, `__compilation__`, `META__NAME`, and the like.

## Job directory

`seamless-run --dry -j DIR` writes:

| file | content |
|---|---|
| `transformation.json` | the bytes whose checksum is the identity |
| `command.txt` | the code |
| `env.json` | the environment, if there is one |
| `dunder.json` | what does not count for the identity but is needed to run it, if there is anything |
| `transformation.json.CHECKSUM` | with `--upload` instead of the first three: the checksum, 64 bytes without newline |

## Buffer directory

"""


def formats_page() -> str:
    """Return the page of the files that Seamless reads and writes."""
    from seamless.checksum import Checksum
    from seamless.stores import schema
    from seamless.transformer.outcome import Usage
    from seamless.transformer.records import minimal_record

    text = FORMATS_HEAD
    layout = (ast.get_docstring(module_tree("seamless.stores.layout")) or "").split("\n\n", 1)[1]
    text += fence(layout)
    text += (
        "\nFiles of buffers have mode 0444, their directories 3775. `<hex>.zst` and `<hex>.gz` hold a compressed form; "
        "`<hex>.BUFFERLENGTH` then tells the length of the decompressed bytes, in decimal digits. `<hex>.CORRUPT` (or "
        "`<hex>.CORRUPT-<n>`) was moved aside because its bytes did not have that checksum. A directory with buffers and "
        "without the marker is flat.\n\n## Cache directory\n\n"
    )
    embedded = (ast.get_docstring(module_tree("seamless.stores.embedded")) or "").split("\n\n", 1)[1]
    text += fence(embedded)
    journal = " ".join((ast.get_docstring(module_tree("seamless.cli.running.journal")) or "").split())
    text += f"\n## Journal\n\n{journal}\n\n## seamless.db\n\n"
    text += "An SQLite database, in WAL mode on a local disk. Checksums are text.\n\n"
    text += fence(";\n\n".join(schema.TABLES.values()) + ";", "sql")
    zero = Checksum(bytes(32))
    keys = list(minimal_record(zero, zero, Usage()))
    text += (
        "\n## Record\n\nThe column `metadata` of table `meta_data` holds a JSON object; times are in seconds, sizes in bytes. "
        "`execution_mode` is `process`. Keys: " + ", ".join(code(key) for key in keys) + ".\n"
    )
    return text


# --- all pages ----------------------------------------------------------------------------------


def pages() -> dict[Path, str]:
    """Return every generated page."""
    makers = {
        "commands": commands_page,
        "environment": environment_page,
        "exit-statuses": exit_statuses_page,
        "python": python_page,
        "celltypes": celltypes_page,
        "formats": formats_page,
    }
    return {TARGET / f"{name}.md": NOTE + make() for name, make in makers.items()}


def main() -> int:
    """Write the pages, or with `--check` name those that are not up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is not up to date")
    check = parser.parse_args().check
    stale = 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if check:
            print(f"not up to date: {path.relative_to(ROOT)} (run scripts/make_reference.py)", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
