"""Compile the sources of a module and link them, in a directory of its own. Never changes that of this process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from seamless.transformer.bash.process import Finished, StartError, run_process
from seamless.transformer.compiled.definition import BuildError, ModuleDefinition
from seamless.transformer.compiled.headers import SUFFIX, VARIABLE, files_of_rules, with_files
from seamless.transformer.compiled.included import files_of_definition, files_of_source
from seamless.transformer.compiled.toolchain import Compiler, c_compiler, compiler_of

MODULE = "module.so"
COMPILE_SECONDS = 600.0  # for one command
_ENTRY = "seamless_entry.c"
_HEADERS = ("transformer.h", "transform.h")
_GO_OPTIONS = "CGO_CFLAGS"  # the variable with those of the C compiler
_NO_TRANSFORM = r"undefined (reference to|symbol:) [`'\u2018]?transform\b"  # what a linker says
# Options of the compiler that the linker needs as well.
_LINK_TOO = ("-fopenmp", "-fopenacc", "-pthread", "-flto", "-fsanitize=", "-fprofile", "--coverage", "-m32", "-static-")


class Toolchain:
    """The compilers of one module."""

    def __init__(self, definition: ModuleDefinition) -> None:
        self.of_source = [compiler_of(source) for source in definition.sources]
        self.c = c_compiler()

    def versions(self) -> dict[str, str]:
        """Return the complete version by path."""
        return {compiler.path: compiler.version for compiler in (self.c, *self.of_source)}

    def names(self) -> dict[str, str]:
        """Return the first line of the version by the name that was asked for."""
        return {compiler.name: compiler.first_line for compiler in (self.c, *self.of_source)}


def build(
    definition: ModuleDefinition, tools: Toolchain, directory: str, canceled: threading.Event | None = None
) -> dict[str, Any]:
    """Build `module.so` in an empty directory; return the report. Blocks. Raises BuildError.

    The report: `commands` (lists of words), `warnings` (what compilers have printed), `seconds`, and `files`, the
    paths of what was read beside the sources and the headers of the system.
    """
    started = time.monotonic()
    _check_runtimes(definition)
    _write_sources(definition, directory)
    commands = [s.command(tool.path) for s, tool in zip(definition.sources, tools.of_source, strict=True)]
    entry = [tools.c.path, "-c", "-O2", "-fPIC", "-w", "-I", ".", "-o", "seamless_entry.o", _ENTRY]
    printed = _run_all([*commands, entry], definition, directory, canceled)
    link = _link_command(definition, tools)
    printed.append(_run(link, definition, directory, canceled, linking=True))
    return {
        "commands": [*commands, entry, link],
        "warnings": "".join(printed),
        "seconds": round(time.monotonic() - started, 3),
        "files": sorted(files_of_rules(directory) | files_of_definition(definition)),
    }


def _check_runtimes(definition: ModuleDefinition) -> None:
    """Raise BuildError for more than one runtime that wants a process for itself: the linker would not say that."""
    names = [source.name for source in definition.sources if source.compilation.mode == "package"]
    if len(names) > 1:
        language = next(s.language for s in definition.sources if s.name == names[1])
        raise BuildError(
            f"RuntimeError: Compilation failed: {', '.join(names)} would each bring a runtime of its own, and a "
            f"process can have only one: write all code in language '{language}' as one source\n"
        )


def _write_sources(definition: ModuleDefinition, directory: str) -> None:
    files = {source.filename: source.code for source in definition.sources}
    files |= dict.fromkeys(_HEADERS, definition.header)
    files[_ENTRY] = definition.entry
    for name, text in files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8", newline="") as f:
            f.write(text if text.endswith("\n") else text + "\n")


def _run_all(
    commands: list[list[str]], definition: ModuleDefinition, directory: str, canceled: threading.Event | None
) -> list[str]:
    """Run the commands side by side; return what each has printed. Raises the first BuildError, in their order."""
    outcomes: list[Any] = [None] * len(commands)

    def run(i: int) -> None:
        try:
            outcomes[i] = _run(commands[i], definition, directory, canceled, variables=_variables(definition, i))
        except BuildError as exc:
            outcomes[i] = exc

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(1, len(commands))]
    for thread in threads:
        thread.start()
    try:
        run(0)
    finally:
        for thread in threads:
            thread.join()
    for outcome in outcomes:
        if isinstance(outcome, BuildError):
            raise outcome
        if outcome is None:
            raise BuildError("RuntimeError: a compiler could not be run\n")
    return outcomes


def _variables(definition: ModuleDefinition, number: int) -> dict[str, str]:
    """Return the variables for one command: where a compiler of C tells which files it has read.

    Go keeps by itself what it has built, and does not look at the files that its C code includes: it is told of them.
    """
    if number >= len(definition.sources) or definition.sources[number].compilation.mode != "package":
        return {VARIABLE: f"{number}{SUFFIX}"}
    files = with_files("", files_of_source(definition.sources[number]))
    options = os.environ.get(_GO_OPTIONS, "-g -O2")
    return {_GO_OPTIONS: f"{options} -DSEAMLESS_FILES_{files}"} if files else {}


def _run(
    command: list[str],
    definition: ModuleDefinition,
    directory: str,
    canceled: threading.Event | None,
    *,
    linking: bool = False,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> str:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | dict(variables)
    deadline = time.monotonic() + COMPILE_SECONDS
    try:
        done = run_process(command, cwd=directory, deadline=deadline, canceled=canceled, environment=environment)
    except StartError as exc:
        raise BuildError(f"RuntimeError: Compilation failed: {exc}\n") from exc
    printed = definition.show((done.stdout + done.stderr).decode(errors="replace"))
    if done.exit_status == 0 and not done.stopped:
        return printed
    raise BuildError(_failure(done, command, printed, definition, linking))


def _failure(done: Finished, command: list[str], printed: str, definition: ModuleDefinition, linking: bool) -> str:
    import re
    import shlex

    if done.stopped == "canceled":
        return "Transformation was canceled"
    lines = ["RuntimeError: Compilation failed:", definition.show(shlex.join(command)), printed.rstrip("\n")]
    if done.stopped == "timeout":
        lines.append(f"The compiler was ended after {COMPILE_SECONDS:g} s")
    if linking and re.search(_NO_TRANSFORM, printed):
        lines.append("The source does not export transform() with C linkage: " + _advice(definition))
    return "\n".join(lines) + "\n"


def _advice(definition: ModuleDefinition) -> str:
    """Return how the main source would export its function."""
    from seamless.transformer.languages import get_language, is_compiled_language

    language = definition.sources[0].language
    export = get_language(language).export if is_compiled_language(language) else ""
    return export or "it needs a function 'int transform(...)' that is callable from C"


def _link_command(definition: ModuleDefinition, tools: Toolchain) -> list[str]:
    """Return the command that makes the shared object, by the compiler that knows the most of its libraries."""
    driver, more = _driver(definition, tools)
    options = [o for s in definition.sources for o in s.compilation.effective_options() if o.startswith(_LINK_TOO)]
    objects = [source.object_name for source in definition.sources]
    return [
        driver.path,
        "-shared",
        "-fPIC",
        *dict.fromkeys(options),
        "-Wl,-z,defs",
        "-Wl,--as-needed",  # what is not used costs time in every call
        "-o",
        MODULE,
        "seamless_entry.o",
        "-Wl,--start-group",
        *objects,
        "-Wl,--end-group",
        *definition.link_options,
        *more,
        *("-lpthread", "-ldl", "-lm"),
    ]


def _driver(definition: ModuleDefinition, tools: Toolchain) -> tuple[Compiler, list[str]]:
    """Return (the compiler that links, the libraries of the languages that it does not know)."""
    linking: dict[str, Compiler] = {}
    for source, compiler in zip(definition.sources, tools.of_source, strict=True):
        if source.compilation.mode == "object":
            linking.setdefault(source.language, compiler)
    if "fortran" in linking:
        return linking["fortran"], ["-lstdc++"] if "cpp" in linking else []
    if "cpp" in linking:
        return linking["cpp"], []
    others = [compiler for language, compiler in linking.items() if language != "c"]
    return (others or [linking.get("c", tools.c)])[0], []
