#!/usr/bin/env python3
"""Write the pages of `docs/reference/` from the code: `make_reference.py [--check]`.

Options come from the parsers, signatures and docstrings from the sources, tables from the modules that own them. What
no code can tell, such as the meaning of a variable, is in the tables below; tests compare them with the code.
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

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
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

# section of the page, where its names are imported from, the names
API: list[tuple[str, str, list[str]]] = [
    ("Steps", "seamless.transformer", ["direct", "delayed", "Transformer", "DirectTransformer"]),
    ("Transformations", "seamless.transformer", ["Transformation", "transformation_from_dict"]),
    (
        "Many steps",
        "seamless.transformer",
        ["parallel", "parallel_async", "TransformationList", "TransformationIterableBase"],
    ),
    ("Environment of a step", "seamless.transformer", ["Environment"]),
    ("Checksums", "seamless", ["Checksum"]),
    ("Buffers", "seamless", ["Buffer"]),
    ("Session", "seamless", ["close", "ensure_open", "register_close_hook", "is_worker", "set_is_worker"]),
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


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef, *, owner: str = "") -> str:
    """Return `name(arguments) -> result`. `owner`: the class, if it is a method."""
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    parts = [argument(arg, default) for arg, default in zip(positional, defaults, strict=True)]
    if given.vararg is not None:
        parts.append("*" + argument(given.vararg, None))
    elif given.kwonlyargs:
        parts.append("*")
    parts += [argument(arg, default) for arg, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg is not None:
        parts.append("**" + argument(given.kwarg, None))
    kinds = decorators(node)
    name = f"{owner}.{node.name}" if "classmethod" in kinds else node.name
    result = ast.unparse(node.returns) if node.returns is not None else ""
    prefix = "await " if isinstance(node, ast.AsyncFunctionDef) and not result.startswith("AsyncIterator") else ""
    shown = parts[1:] if owner and "staticmethod" not in kinds else parts
    return f"{prefix}{name}({', '.join(shown)})" + (f" -> {result}" if result else "")


def argument(arg: ast.arg, default: ast.expr | None) -> str:
    """Return an argument as people write it."""
    annotation = f": {ast.unparse(arg.annotation)}" if arg.annotation is not None else ""
    if default is None:
        return arg.arg + annotation
    equals = " = " if annotation else "="
    return f"{arg.arg}{annotation}{equals}{ast.unparse(default)}"


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
        yield (item.name if "property" in kinds else signature(item, owner=node.name)), first


def attributes(node: ast.ClassDef, lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the public attributes that `__init__` sets and a comment behind them explains."""
    for item in ast.walk(node):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Attribute):
            comment = lines[item.lineno - 1].partition("  # ")[2]
            if comment and not item.target.attr.startswith("_"):
                yield item.target.attr, comment


def described(node: ast.AST, lines: list[str]) -> str:
    """Return the Markdown of a function or class; `lines` are those of its module."""
    if isinstance(node, ast.ClassDef):
        initial = [i for i in node.body if isinstance(i, ast.FunctionDef) and i.name in ("__init__", "__new__")]
        text = f"### {node.name}\n\n"
        if initial:
            arguments = signature(initial[0], owner=node.name).partition("(")[2].rpartition(")")[0]
            text += fence(f"{node.name}({arguments})", "py") + "\n"
        elif isinstance(node.bases[0], ast.Name) and node.bases[0].id != "list":
            text += f"Made like, and with the members of, `{node.bases[0].id}`.\n\n"
        text += f"{paragraphs(ast.get_docstring(node))}\n"
        rows = [[code(shown), first] for shown, first in [*attributes(node, lines), *members(node)]]
        return text + ("\n" + table(["member", ""], rows) if rows else "")
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    head = fence(signature(node), "py")
    return f"### {node.name}\n\n{head}\n{paragraphs(ast.get_docstring(node))}\n"


def module_source(module: str) -> str:
    """Return the text of a module of the package."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.read_text(encoding="utf-8")


def find(module: str, name: str) -> str:
    """Return the Markdown of a name, from the module that defines it."""
    module = getattr(importlib.import_module(module), "_LAZY", {}).get(name, module)
    source = module_source(module)
    nodes = {node.name: node for node in ast.parse(source).body if isinstance(node, DEFINITIONS)}
    return described(nodes[name], source.splitlines())


def module_tree(module: str) -> ast.Module:
    """Return the syntax tree of a module of the package."""
    return ast.parse(module_source(module))


def python_page() -> str:
    """Return the page of the Python names."""
    import seamless
    import seamless.transformer

    text = "# Python\n\nImport these names from `seamless`:\n\n"
    text += ", ".join(code(name) for name in seamless.__all__) + "\n\nand these from `seamless.transformer`:\n\n"
    text += ", ".join(code(name) for name in seamless.transformer.__all__)
    text += "\n\nThe others from the module that is named. In the tables, a member without brackets is a property.\n"
    for title, module, names in API:
        text += f"\n## {title}\n\nFrom `{module}`.\n"
        for name in names:
            text += "\n" + find(module, name)
    tree = ast.get_docstring(module_tree("seamless.errors")) or ""
    text += "\n## Errors\n\nFrom `seamless.errors`.\n\n" + fence(re.sub(r"^.*?\n\n|\n\n[^\n]*$", "", tree, flags=re.S))
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
    text = "# Celltypes\n\nA celltype says with which bytes a value is stored; its checksum is their SHA-256.\n\n"
    text += table(["celltype", "takes", "bytes", "gives"], rows)
    text += (
        "\nThe last four are for collections and modules. "
        "A result can be of any celltype but `deepfolder` and `module`.\n"
        "\n## Examples\n\n"
    )
    text += table(["celltype", "value", "bytes"], examples)
    text += (
        "\n`plain` and `mixed` write the same JSON except for text beyond ASCII, numbers with a decimal exponent "
        "from -9 to -5, integers beyond 64 bits, NaN and infinities (the last three only in `mixed`). "
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


def format_parts() -> dict[str, str]:
    """Return the parts of the page of formats that the code knows; the rest of that page is written by hand."""
    from seamless.checksum import Checksum
    from seamless.stores import schema
    from seamless.transformer.outcome import Usage
    from seamless.transformer.records import minimal_record

    def after_summary(module: str) -> str:
        return (ast.get_docstring(module_tree(module)) or "").split("\n\n", 1)[1]

    zero = Checksum(bytes(32))
    journal = (ast.get_docstring(module_tree("seamless.cli.running.journal")) or "").split()
    return {
        "buffer-directory": fence(after_summary("seamless.stores.layout")),
        "cache-directory": fence(after_summary("seamless.stores.embedded")),
        "journal": " ".join(journal) + "\n",
        "tables": fence(";\n\n".join(schema.TABLES.values()) + ";", "sql"),
        "record": ", ".join(code(key) for key in minimal_record(zero, zero, Usage())) + "\n",
    }


def formats_page() -> str:
    """Return the page of the files that Seamless reads and writes, with its marked parts made anew."""
    text = (TARGET / "formats.md").read_text(encoding="utf-8")
    for name, part in format_parts().items():
        begin, end = f"<!-- {name}: from the code -->\n", f"<!-- end of {name} -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{part}\n{end}{rest.split(end)[1]}"
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
    }
    made = {TARGET / f"{name}.md": NOTE + make() for name, make in makers.items()}
    return {**made, TARGET / "formats.md": formats_page()}


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
