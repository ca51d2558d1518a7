#!/usr/bin/env python3
"""Write the pages of `docs/reference/` from the code: `make_reference.py [--check]`.

Options come from the parsers, signatures and docstrings from the sources, tables from the modules that own them. What
no code can tell, such as the meaning of a variable, is in `reference_tables`.
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
from typing import Any

from make_completions import PARSERS
from reference_tables import API, CELLTYPES, Variable, other_variables, own_variables

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference"
NOTE = "<!-- Made by scripts/make_reference.py; do not edit. -->\n\n"


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
            name, _, function = PARSERS.get(script.name, f"{script.module}:build_parser").partition(":")
            found[script.name] = getattr(importlib.import_module(name), function)()
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


def value_of(action: argparse.Action) -> str:
    """Return what stands for the value of an option in its help, or nothing."""
    if action.nargs == 0:
        return ""
    if action.metavar is not None:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    if action.choices is not None:
        return f"{{{','.join(map(str, action.choices))}}}"
    return action.dest.upper()


def option_row(action: argparse.Action) -> list[str]:
    """Return the forms of an option or argument, and its meaning."""
    value = value_of(action)
    meaning = argparse.HelpFormatter("")._expand_help(action) if action.help else ""
    if not action.option_strings:
        return [code(value), meaning]
    forms = []
    for name in action.option_strings:
        if not value:
            forms.append(name)
        elif action.nargs == "?":
            forms.append(f"{name}[={value}]")
        else:
            forms.append(f"{name} {value}")
    return [", ".join(map(code, forms)), meaning]


def option_tables(parser: argparse.ArgumentParser) -> str:
    """Return the tables of all options of a command, but not those of its subcommands."""
    text = ""
    for group in parser._action_groups:
        shown = [a for a in group._group_actions if a.help != argparse.SUPPRESS]
        rows = [option_row(a) for a in shown if not isinstance(a, argparse._SubParsersAction)]
        if rows:
            text += f"\n**{(group.title or '').capitalize()}**"
            text += f": {' '.join(group.description.split())}\n\n" if group.description else "\n\n"
            text += table(["option", "meaning"], rows)
    return text


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the subcommands of a command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def commands_page() -> str:
    """Return the page of all commands and their options."""
    text = "# Commands\n\nEach command has `--help`. Options come before the words of a command that is to be run.\n"
    for name, parser in commands().items():
        text += f"\n## {name}\n\n{' '.join((parser.description or '').split())}\n\n"
        text += fence((parser.usage or "").replace("%(prog)s", name).replace("\n       ", "\n"))
        text += option_tables(parser)
        for subname, subparser in subcommands(parser):
            text += f"\n### {name} {subname}\n\n{' '.join((subparser.description or '').split())}\n"
            text += option_tables(subparser)
        for title, lines in epilog_sections(parser).items():
            if title != "exit codes":
                text += f"\n{title[:1].upper()}{title[1:]}:\n\n" + fence("\n".join(lines), "sh")
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
    """Return the page of the environment variables, in their sections."""
    sections: dict[str, list[list[str]]] = {}
    for v in [*own_variables(), *other_variables()]:
        sections.setdefault(v.section, []).append([code(v.name), v.default, v.meaning])
    text = "# Environment variables\n"
    for title, rows in sections.items():
        text += f"\n## {title}\n\n" + table(["variable", "default", "meaning"], sorted(rows))
    return text


def documented_variables() -> dict[str, Variable]:
    """Return all variables of the page, by name."""
    return {variable.name: variable for variable in [*own_variables(), *other_variables()]}


# --- configuration ------------------------------------------------------------------------------


def fields_table(fields: Any) -> str:
    """Return the table of the fields of a mapping in a configuration file."""
    rows = [
        [code(name), field.type.expected, field.doc + ("; needed" if field.required else "")]
        for name, field in fields.fields.items()
    ]
    return table(["field", "value", "meaning"], rows)


def configuration_page() -> str:
    """Return the page of the commands of project files, and of the fields of cluster definitions."""
    from seamless.config import cluster_schema as schema
    from seamless.config import images
    from seamless.config.commands import VALUES

    rows = [[code(f"- {name}: ..."), type_.expected, doc] for name, (type_, doc) in VALUES.items()]
    rows += [
        ["`- clusters: ...`", "a mapping from names to clusters", "definitions of clusters, for this project only"],
        ["`- inherit_from_parent`", "true, false or nothing", "read the files of the parent directory first"],
        ["`- stage NAME: ...`", "a list of commands", "commands for a stage only"],
        ["`- substage NAME: ...`", "a list of commands", "commands for a substage only"],
    ]
    text = "# Configuration\n\nWhat may be written in configuration files. How to use it: "
    text += "[Configure a project](../howto/configuration.md).\n\n## Project files\n\n"
    text += "`seamless.yaml` and `seamless.profile.yaml` are lists of commands:\n\n"
    text += table(["command", "value", "meaning"], rows)
    text += "\n## Cluster files\n\nMappings from names to clusters. `local_cluster: NAME` says which of them is this "
    text += f"machine. A cluster:\n\n{fields_table(schema.CLUSTER)}\n### A frontend\n\n{fields_table(schema.FRONTEND)}"
    for service, fields in schema.SERVICE_FIELDS.items():
        text += f"\n### A {service}\n\n{fields_table(fields)}"
    text += f"\n### A queue\n\n{fields_table(schema.QUEUE)}\n### An image\n\n"
    text += "The name of an image of the cluster, a path, or a mapping. `images` and `image_defaults` take the same "
    text += f"fields, but `use`.\n\n{fields_table(images.IMAGE._by_kind['mapping'])}"
    return text


# --- HTTP ---------------------------------------------------------------------------------------


def operations(document: dict[str, Any]) -> str:
    """Return the table of the operations that an OpenAPI document describes; those that are alike share a row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for path, methods in sorted(document["paths"].items()):
        for method, operation in sorted(methods.items()):
            answers = []
            for status, answer in sorted(operation["responses"].items()):
                meaning = answer["description"].removesuffix(".")
                answers.append(status if meaning == "Successful Response" else f"{status} {meaning}")
            key = (path, operation.get("summary", ""), "<br>".join(answers))
            rows.setdefault(key, []).append(method.upper())
    shown = [[code(f"{' or '.join(m)} {path}"), meaning, answers] for (path, meaning, answers), m in rows.items()]
    return "\n" + table(["request", "what it does", "status and answer"], shown)


def requests_table(operation: dict[str, Any]) -> str:
    """Return the table of the requests that the database takes: the value of `type`, and the other fields."""
    rows = []
    for body in operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]:
        needed = body["required"]
        names = [code(n) + ("" if n in needed else " (optional)") for n in body["properties"] if n != "type"]
        rows.append([code(body["properties"]["type"]["const"]), ", ".join(names), body.get("description", "")])
    return table(["`type`", "other fields", ""], rows)


def http_page() -> str:
    """Return the page of the HTTP interfaces, from the descriptions that the servers give of themselves."""
    from seamless.services.database.openapi import description as database_description
    from seamless.services.hashserver.description import description as hashserver_description

    document: Any = hashserver_description(writable=True)
    text = "# HTTP\n\nWhat the servers answer. A server that asks for a token wants it in the header "
    text += "`Authorization: Bearer TOKEN`; only `/healthcheck` needs none. Each server describes itself in "
    text += "`/openapi.json`, the hashserver also in `/docs`.\n\n## hashserver\n\n"
    text += "`{checksum}` is 64 hexadecimal digits. Without `--writable` there is no PUT (405), and no promise (404). "
    text += "The bodies of `/has`, `/has-now` and `/buffer-length` are JSON lists of checksums.\n"
    text += operations(document.openapi())
    database = database_description(writable=True)
    text += "\n## seamless-database\n\nThe path does not matter: a request is a GET or a PUT with a JSON object as its "
    text += "body. Without `--writable` there is no PUT (405). `/healthcheck`, `/status` and `/metrics` are as above.\n"
    text += operations(database)
    text += "\n### What is asked\n\nRequests with GET:\n\n" + requests_table(database["paths"]["/"]["get"])
    return text + "\nRequests with PUT:\n\n" + requests_table(database["paths"]["/"]["put"])


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
    loaded = importlib.import_module(module)
    module = getattr(loaded, "_LAZY", {}).get(name) or getattr(loaded, name).__module__
    source = module_source(module)
    nodes = {node.name: node for node in ast.parse(source).body if isinstance(node, DEFINITIONS)}
    return described(nodes[name], source.splitlines())


def module_tree(module: str) -> ast.Module:
    """Return the syntax tree of a module of the package."""
    return ast.parse(module_source(module))


def python_page() -> str:
    """Return the page of the Python names."""
    import seamless
    import seamless.config
    import seamless.transformer

    text = "# Python\n\nImport these names from `seamless`:\n\n"
    text += ", ".join(code(name) for name in seamless.__all__) + "\n\nand these from `seamless.transformer`:\n\n"
    text += ", ".join(code(name) for name in seamless.transformer.__all__) + "\n\nand these from `seamless.config`:\n\n"
    text += ", ".join(code(name) for name in seamless.config.__all__)
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
    from seamless.transformer.execution import ExecutionAnswer
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
        "record": ", ".join(code(key) for key in minimal_record(zero, ExecutionAnswer(zero))) + "\n",
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
        "configuration": configuration_page,
        "environment": environment_page,
        "exit-statuses": exit_statuses_page,
        "http": http_page,
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
