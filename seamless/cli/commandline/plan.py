"""From the options of a command line to a Plan: the only entrance to the analysis."""

from __future__ import annotations

import os

from seamless.cli.commandline.code import code_text, command_word
from seamless.cli.commandline.data import Input, Plan, PlanOptions, Target
from seamless.cli.commandline.line import ParsedLine, Word, place
from seamless.cli.commandline.mapping import Mapper, relative_to
from seamless.cli.commandline.quoting import changes_when_parsed, quote, quote_command
from seamless.cli.commandline.results import STDOUT, Targets, add_captures, find_redirect_target, redirect_name
from seamless.cli.commandline.selection import all_commands, primary_command, typed_commands, typed_words
from seamless.cli.commandline.split import split_line
from seamless.cli.commandline.typing import (
    Argument,
    Finder,
    Found,
    extension,
    find_script,
    find_tool,
    kind_of,
    type_argument,
)
from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from seamless.cli.commandline.data import Kind
    from seamless.cli.commandline.interface import Declared, Interface
    from seamless.cli.commandline.typing import Promises

__all__ = ["Input", "Plan", "PlanOptions", "Target", "make_plan"]


def make_plan(
    options: PlanOptions,
    *,
    cwd: str | None = None,
    wait_future: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
    promises: Promises | None = None,
) -> Plan:
    """Analyse the command line; names are relative to `cwd` (None: the current directory).

    `wait_future(path)` is called for an input that is being computed, and must return when it is there. `warn` gets
    each warning at once; without it they are in the plan. An input of `promises` has the checksum PROMISED. Raises
    UsageError for every mistake.
    """
    planner = _Planner(options, cwd, Finder(cwd, wait_future, promises), warn)
    planner.analyse()
    return planner.result()


class _Planner:
    """The steps of the analysis, and what they have found."""

    def __init__(
        self,
        options: PlanOptions,
        cwd: str | None,
        finder: Finder,
        warn: Callable[[str], None] | None,
    ) -> None:
        self.options = options
        self.given_cwd = cwd
        self.cwd = os.path.abspath(cwd) if cwd is not None else os.getcwd()
        self.finder = finder
        self.mapper = Mapper(options.mapping, self.cwd, self._base())
        self.warnings: list[str] = []
        self.warn = warn if warn is not None else self.warnings.append
        self.targets = Targets(self.cwd)
        self.inputs: dict[str, Input] = {}
        self.replacements: dict[int, tuple[int, str]] = {}  # start in the source -> end, new text
        self.executables: dict[int, str] = {}  # index of the command -> pin of its first word
        self.interfaces: dict[int, tuple[Interface, int]] = {}  # index of the command -> interface, index of its word
        self.tools: dict[int, Found | str | None] = {}
        self.line = self._parse(self._source())
        self.commands = all_commands(self.line)
        self.declared: list[tuple[str, str]] = []  # name, origin of each input given by option
        self.declared_paths: set[str] = set()

    # --- the line -----------------------------------------------------------------------------------------------

    def _base(self) -> str:
        directory = self.options.base_directory
        if directory is None:
            return self.cwd
        base = os.path.normpath(os.path.join(self.cwd, os.path.expanduser(directory)))
        if not os.path.isdir(base):
            raise UsageError(f"-w '{directory}': there is no such directory")
        return base

    def _source(self) -> str:
        words = self.options.command
        if not words:
            raise UsageError("no command given")
        if self.options.unquote:
            if len(words) > 1:
                raise UsageError(
                    f"Unquote requires a single argument: with -c the whole command line is one word, not {len(words)}"
                )
            return words[0]
        if self.options.exact:
            return " ".join(quote_command(words))
        if len(words) > 1:
            for i, word in enumerate(words):
                if changes_when_parsed(word, first=i == 0):
                    self.warn(
                        f"the words are joined by blanks and parsed again by bash, which will not see {quote(word)} "
                        "as one word; put the whole line in quotes and use -c, or keep the words with --exact"
                    )
                    break
        return " ".join(words)

    def _parse(self, source: str) -> ParsedLine:
        if all(not row.strip() or row.lstrip().startswith("#") for row in source.split("\n")):
            raise UsageError("the command line is empty")
        line = split_line(source)
        if line is None:
            from seamless.cli.commandline.bash import parse_bash

            line = parse_bash(source)
        count, primary = len(line.commands), self.options.primary
        if primary < 1 or primary > max(count, 1):
            raise UsageError(f"--primary {primary}: the command line has {count} command{'s' * (count != 1)}: {source}")
        return line

    # --- the steps ----------------------------------------------------------------------------------------------

    def analyse(self) -> None:
        line = self.line
        primary = primary_command(line, self.options.primary)
        for index, command in enumerate(self.commands):
            if command.words:
                self.tools[index] = find_tool(command.words[0].text, self.finder, self.mapper.base)
                if index < len(line.commands):
                    self._load_interface(index)
                self._leave_foreign_tool(index)
        self._collect_targets(primary)
        self._collect_declared()
        typed = typed_commands(line, primary)
        for position, (index, number) in enumerate(typed_words(line, self.commands, typed), 1):
            word = self.commands[index].words[number]
            self._type_word(index, number, Argument(word, position, line.source), index == primary)
        for index in self.interfaces.keys() - set(typed):
            for word in line.commands[index].words:
                self._type_declared(index, Argument(word, 0, line.source))
        self._add_stdin_files()
        for name, origin in self.declared:
            self._add_declared(name, origin)
        for interface, _ in self.interfaces.values():
            for entry in interface.inputs.values():
                self._add_entry(interface, entry, None)
        for index in self.tools.keys() - set(typed):
            self._mark_executable(index)
        if len(set(typed)) < len(line.commands) or "*" in line.source or "?" in line.source:
            from seamless.cli.commandline.undeclared import warnings

            for warning in warnings(line, set(typed), self.mapper, self.targets, self.inputs.values()):
                self.warn(warning)

    def _load_interface(self, index: int) -> None:
        """Load the interface of the tool that a command runs, or else of the script that it gives to its tool."""
        words = self.commands[index].words
        tool = self.tools[index]
        first = tool.name if isinstance(tool, Found) else os.path.expanduser(words[0].text)
        local = self.finder.local(first)
        is_file = tool != "system" and (kind_of(local) == "file" or os.path.exists(local + ".CHECKSUM"))
        if is_file and (self._load_interface_of(index, 0, first) or not isinstance(tool, Found)):
            return
        number = find_script([word.text for word in words])
        if number:
            self._load_interface_of(index, number, os.path.expanduser(words[number].text))

    def _load_interface_of(self, index: int, number: int, name: str) -> bool:
        local = self.finder.local(name)
        suffix = extension(local)
        stem = local[: -len(suffix)] if suffix else local
        # The module is not even imported for the many tools that have no interface.
        if not os.path.exists(local + ".SEAMLESS.yaml") and not os.path.exists(stem + ".SEAMLESS.py"):
            return False
        from seamless.cli.commandline.interface import load_interface

        arguments = [word.text for word in self.commands[index].words[number + 1 :]]
        interface = load_interface(name, arguments, cwd=self.given_cwd)
        if interface is None:
            return False
        self.interfaces[index] = interface, number
        return True

    def _leave_foreign_tool(self, index: int) -> None:
        """Leave a tool alone that is on the PATH but cannot be a pin, as it is outside the base directory."""
        tool = self.tools[index]
        if not isinstance(tool, Found) or self.options.mapping != "literal":
            return
        path = self.mapper.absolute(tool.name)
        if relative_to(path, self.mapper.base) is not None:
            return
        self.tools[index] = "system"
        if not os.path.dirname(path).endswith("/shims"):  # of a version manager: not the tool itself
            self.warn(
                f"'{tool.name}' is neither a tool of the system nor below {self.mapper.base}, so it is not an input: "
                "if it changes, that will not be noticed. Use -ms to make it one."
            )

    def _collect_targets(self, primary: int) -> None:
        order = sorted(self.interfaces, key=lambda index: (index != primary, index))
        for index in order:
            interface, _ = self.interfaces[index]
            for name, local in interface.results.items():
                self.targets.add(name, local, f"interface of '{interface.tool}'")
        add_captures(self.targets, self.options.captures)
        redirect = find_redirect_target(self.line)
        if redirect is not None and redirect.target is not None:
            word = redirect.target
            if word.expands and self.targets.locals and not word.text.startswith(("$PWD/", "${PWD}/")):
                return  # the user has named the results; this name is known to bash only
            name, replacement = redirect_name(self.line, word, self.targets)
            if replacement is not None:
                self.replacements[word.start] = word.end, replacement
            if self.targets.covers(name):
                return  # part of a directory or pattern that is a result anyway
            self.targets.add(name, None, f"redirection to '{word.text}'")
        elif not self.targets.locals:
            self._warn_of_lost_redirect()

    def _warn_of_lost_redirect(self) -> None:
        for redirect in self.line.other_redirects:
            if redirect.writes_stdout and redirect.target is not None and not redirect.target.text.startswith("/dev/"):
                name = redirect.target.text
                self.warn(
                    f"'{name}' is not a result, as its redirection is not that of the last command: add -cp {name}"
                )

    def _collect_declared(self) -> None:
        options = self.options
        if not options.inputs and not options.input_files:
            return
        from seamless.cli.commandline.declarations import read_input_files

        given = [(name, "") for name in options.inputs]
        for name, origin in given + read_input_files(options.input_files, self.given_cwd):
            self.declared += [(found, origin) for found in self._expanded(name)]
        self.declared_paths = {self.mapper.absolute(os.path.expanduser(name)) for name, _ in self.declared}

    def _expanded(self, name: str) -> list[str]:
        """Return the names that a pattern stands for, of files that are there and of promised ones."""
        from seamless.cli.commandline.declarations import expand_pattern

        found, promises = expand_pattern(name, self.given_cwd), self.finder.promises
        promised = promises.matching(self.mapper.absolute(name)) if promises is not None else []
        if not promised:
            return found
        names = {path: path for path in promised}
        names |= {self.mapper.absolute(other): other for other in found if other != name}
        return [names[path] for path in sorted(names)]

    # --- words --------------------------------------------------------------------------------------------------

    def _type_word(self, index: int, number: int, argument: Argument, primary: bool) -> None:
        if self._type_declared(index, argument):
            return
        word, tool = argument.word, self.tools.get(index)
        interface, tool_number = self.interfaces.get(index, (None, 0))
        if interface is not None and number == tool_number and interface.shim is not None:
            self._place_shim(interface, index, number, argument)
            return
        if number == 0 and tool == "system":
            return
        if interface is not None and interface.has_program and primary and number not in (0, tool_number):
            return
        path = self.mapper.absolute(os.path.expanduser(word.text))
        declared = path in self.declared_paths
        if not declared and self.targets.is_output(path):
            return
        if number == 0 and isinstance(tool, Found):
            found: Found | None = tool
        else:
            options = self.options
            lenient = options.lenient or (word.expands and self.commands[index].grouped)  # differs from turn to turn
            rules = {"guess1": options.guess1, "guess2": options.guess2, "declared": declared, "lenient": lenient}
            found = type_argument(argument, self.finder, **rules)
        if found is not None:
            self._add_word(index, number, argument, found)

    def _add_word(self, index: int, number: int, argument: Argument, found: Found) -> None:
        executable = number == 0 and found.kind == "file"
        pin = self.mapper.map(found.name, found.kind, str(argument), argument.refusal_of)
        self._add(pin, found, executable=executable, position=argument.position)
        self._rewrite(argument.word, pin, executable)
        if executable:
            self.executables[index] = pin

    def _type_declared(self, index: int, argument: Argument) -> bool:
        """Type a word as the interface of its command says; return whether it says anything."""
        interface, _ = self.interfaces.get(index, (None, 0))
        entry = interface.argtypes.get(argument.word.text) if interface is not None else None
        if interface is None or entry is None:
            return False
        if entry.kind != "value":
            number = next(i for i, word in enumerate(self.commands[index].words) if word is argument.word)
            pin = self._add_entry(interface, entry, argument.position or None, executable=number == 0)
            self._rewrite(argument.word, pin, number == 0)
            if number == 0:
                self.executables[index] = pin
        return True

    def _place_shim(self, interface: Interface, index: int, number: int, argument: Argument) -> None:
        """Put the shim in the place of the tool, which then is no input itself."""
        shim = interface.located(interface.shim or "")
        found = self.finder.find(shim, f"the shim of '{interface.tool}'")
        if found is None or found.kind != "file":
            self.replacements[argument.word.start] = argument.word.end, quote(interface.shim or "")
            return
        self._add_word(index, number, argument, found)

    def _rewrite(self, word: Word, pin: str, executable: bool) -> None:
        written = command_word(pin) if executable else quote("./" + pin if pin.startswith("-") else pin)
        if word.text != pin or (executable and written != quote(pin)):
            self.replacements[word.start] = word.end, written

    # --- inputs that are no typed words -------------------------------------------------------------------------

    def _add_stdin_files(self) -> None:
        redirects = self.line.all_redirects()
        written = {self.mapper.absolute(r.target.text) for r in redirects if r.writes_file and r.target is not None}
        for redirect in redirects:
            word = redirect.target
            if not redirect.reads_file or word is None or word.expands:
                continue
            path = self.mapper.absolute(os.path.expanduser(word.text))
            if path not in self.declared_paths and (path in written or self.targets.is_output(path)):
                continue
            described = f"redirection from '{word.text}'"
            found = self.finder.find(word.text, described)
            if found is not None and found.kind == "file":
                pin = self.mapper.map(found.name, "file", described, self._refusal_at(word))
                self._add(pin, found)
                self._rewrite(word, pin, False)

    def _refusal_at(self, word: Word) -> Callable[[str], UsageError]:
        def refuse(message: str) -> UsageError:
            first, *rest = message.split("\n")
            return UsageError("\n".join((first, place(self.line.source, word.start, word.end)[2], *rest)))

        return refuse

    def _add_declared(self, name: str, origin: str) -> None:
        found = self.finder.find(name, f"input argument '{name}'")
        if found is None:
            where = f"{origin}: " if origin else ""
            raise UsageError(f"{where}input argument '{name}': file/directory does not exist")
        self._add(self.mapper.map(found.name, found.kind, f"input argument '{name}'"), found)

    def _add_entry(
        self, interface: Interface, entry: Declared, position: int | None, *, executable: bool = False
    ) -> str:
        """Add what an interface declares; return its pin."""

        def fail(message: str) -> UsageError:
            return UsageError(f"{entry.place}: {message}")

        described = f"{entry.kind} '{entry.name}'"
        is_word = position is not None or entry.name in interface.argtypes
        name = entry.name if is_word else interface.located(entry.name)
        local = interface.located(entry.mapping) if entry.mapping is not None else name
        found = self.finder.find(local, f"{entry.place}: {described}")
        if entry.checksum is not None:
            kind: Kind = "directory" if entry.kind == "directory" else "file"
            found = Found(kind, found.path if found is not None else None, entry.checksum, local)
        if found is None:
            raise fail(f"{described} does not exist" + (f": {local}" if local != entry.name else ""))
        if found.kind != entry.kind:
            raise fail(f"'{entry.name}' is declared as a {entry.kind}, but is a {found.kind}")
        if entry.mapping is None:
            pin = self.mapper.map(name, found.kind, described, fail)
        else:
            inside = relative_to(self.mapper.absolute(name), self.cwd)
            if inside is None:
                raise fail(f"{described}: the name of an input must be below the working directory")
            pin = inside
            self.mapper.claim(pin, self.mapper.absolute(local), local, described, fail)
        self._add(pin, found, executable=executable, position=position)
        return pin

    def _add(self, pin: str, found: Found, *, executable: bool = False, position: int | None = None) -> None:
        known = self.inputs.get(pin)
        if known is None:
            self.inputs[pin] = Input(pin, found.kind, found.path, found.checksum, executable, position)
        elif executable:
            known.executable = True

    def _mark_executable(self, index: int) -> None:
        """Make the file that a command outside the primary pipeline runs executable, if it is (part of) an input."""
        word, tool = self.commands[index].words[0], self.tools[index]
        if tool == "system" or index in self.executables:
            return
        name = tool.name if isinstance(tool, Found) else os.path.expanduser(word.text)
        path = self.mapper.absolute(name)
        pin = next((pin for pin, owner in self.mapper.owners.items() if owner == path), None)
        written = word.text.removeprefix("./")
        if pin is None and written in self.inputs:
            pin = written
        if pin is not None and self.inputs[pin].kind == "file":
            self.inputs[pin].executable = True
            self.executables[index] = word.text if written == pin else pin
            if written != pin:
                self._rewrite(word, pin, True)
        elif written == relative_to(path, self.cwd) and self._is_in_directory(path):
            self.executables[index] = word.text
        elif "/" in word.text and not isinstance(tool, Found) and kind_of(self.finder.local(name)) == "file":
            self.warn(f"'{word.text}' is run by the command line but is not an input: declare it with -i {word.text}")

    def _is_in_directory(self, path: str) -> bool:
        """Tell whether a file is in a directory that is an input and has the same name in the workspace."""
        if self.options.mapping == "strip" or self.mapper.base != self.cwd or kind_of(path) != "file":
            return False
        directories = (owner for pin, owner in self.mapper.owners.items() if self.inputs[pin].kind == "directory")
        return any(relative_to(path, directory) is not None for directory in directories)

    # --- the result ---------------------------------------------------------------------------------------------

    def result(self) -> Plan:
        options = self.options
        variables, metavars = self._variables()
        command = self.line.source
        for start, (end, text) in sorted(self.replacements.items(), reverse=True):
            command = command[:start] + text + command[end:]
        prologues = ["set -o pipefail"] * options.pipefail + options.prologues
        command = "; ".join([*prologues, command])
        command = self._canonical(command, variables)
        names = set(self.inputs)
        for name in variables:
            if name in names:
                raise UsageError(f"the variable '{name}' has the name of an input. Choose another name for it.")
        targets = self.targets.as_list()
        capture_stdout = STDOUT in self.targets.locals
        code = code_text(
            command,
            executables=self._executables(),
            metavars=list(metavars),
            targets=[target.name for target in targets],
            capture_stdout=capture_stdout,
            patterns=self.targets.patterns,
        )
        try:
            code.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(f"the command line is not valid UTF-8: {command!r}") from None
        return Plan(
            command,
            code,
            list(self.inputs.values()),
            targets,
            capture_stdout,
            variables,
            metavars,
            self._environment(),
            self.warnings,
        )

    def _executables(self) -> list[str]:
        """Return the files to be made executable, in the order in which they stand in the line."""
        order = sorted(self.executables, key=lambda index: self.commands[index].words[0].start)
        return list(dict.fromkeys(self.executables[index] for index in order))

    def _variables(self) -> tuple[dict[str, tuple[str, object]], dict[str, str]]:
        if not self.options.variables and not self.options.metavars:
            return {}, {}
        from seamless.cli.commandline.declarations import parse_metavars, parse_variables

        variables, metavars = parse_variables(self.options.variables), parse_metavars(self.options.metavars)
        for name in variables.keys() & metavars.keys():
            raise UsageError(f"'{name}' is given by --var and by --metavar: drop one of them")
        return {name: ("str", value) for name, value in variables.items()}, metavars

    def _canonical(self, command: str, variables: dict[str, tuple[str, object]]) -> str:
        interface, _ = self.interfaces.get(0, (None, 0))
        if interface is None or len(self.line.commands) != 1 or not interface.canonical:
            return command
        from seamless.cli.commandline.canonical import match_canonical

        match = match_canonical(interface, command)
        if match is None:
            return command
        for name in match[1].keys() & variables.keys():
            raise UsageError(f"--var {name}: the interface of '{interface.tool}' already has a variable of that name")
        variables.update(match[1])
        return match[0]

    def _environment(self) -> dict[str, str]:
        if not (self.options.conda or self.options.docker or self.interfaces):
            return {}
        from seamless.cli.commandline.environment import chosen_environment

        return chosen_environment(self.options, [interface for interface, _ in self.interfaces.values()])
