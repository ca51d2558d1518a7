"""Run the text of a Python transformation in a fresh namespace, and show its failures as the user's own.

Knows nothing of checksums, celltypes or stores: values go in, a value comes out.
"""

from __future__ import annotations

import ast
import builtins
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import CodeType, CoroutineType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seamless.transformer.freevars import global_names
from seamless.transformer.namespace import ROOT, PrivateModules, is_registered, register_text, text_filename
from seamless.util.python_ast import python_tree

if TYPE_CHECKING:
    from traceback import TracebackException

Mode = Literal["function", "lambda", "expression", "block"]

_MAX_COMPILED = 1000
_compiled: OrderedDict[tuple[str, str], _Program] = OrderedDict()
_lock = threading.Lock()


class _Program(NamedTuple):
    """Compiled code text."""

    mode: Mode
    code: CodeType
    filename: str
    function: str  # its name in mode "function"
    parameters: frozenset[str] | None  # of function or lambda; None: it takes any
    missing: frozenset[str]  # names from outside that are not builtins, those in annotations included
    variants: dict[frozenset[str], CodeType]  # without the annotations that use these names


def run_python(
    code: str,
    *,
    pins: Mapping[str, Any],
    modules: Mapping[str, Mapping[str, Any]],
    output_celltype: str,
    name: str,
    code_checksum: str,
    filesystem: Mapping[str, Any] | None = None,
) -> Any:
    """Execute `code` with `pins` as its inputs and return the value of its result.

    One function is called with the pins that are its parameters; so is a lambda; one expression is evaluated;
    other code must assign `result`. `name` is for messages. Raises what the code raises; what would end the
    process (SystemExit) becomes RuntimeError; KeyboardInterrupt is passed on.
    """
    try:
        program = _program(code, code_checksum, name)
        namespace = _namespace(pins, modules, output_celltype, name, filesystem)
        value = _run(program, code, namespace, pins)
    except (Exception, KeyboardInterrupt):
        raise
    except SystemExit as exc:
        error = RuntimeError(f"the code has ended with sys.exit({'' if exc.code is None else repr(exc.code)})")
        raise error.with_traceback(exc.__traceback__) from None
    except BaseException as exc:  # noqa: BLE001  nothing that the code raises may end a worker
        raise RuntimeError(f"{type(exc).__name__}: {exc}").with_traceback(exc.__traceback__) from None
    if isinstance(value, (GeneratorType, CoroutineType)):
        kind = "a generator" if isinstance(value, GeneratorType) else "a coroutine"
        if isinstance(value, CoroutineType):
            value.close()
        raise RuntimeError(f"the result is {kind}, not a value: return a list, or call asyncio.run(...) in the code")
    return value


def _namespace(
    pins: Mapping[str, Any],
    modules: Mapping[str, Mapping[str, Any]],
    output_celltype: str,
    name: str,
    filesystem: Mapping[str, Any] | None,
) -> dict[str, Any]:
    private = PrivateModules(modules, label=name)
    namespace: dict[str, Any] = {
        "__name__": ROOT,
        "__package__": ROOT,
        "__builtins__": private.builtins,
        "PINS": dict(pins),
        "OUTPUTPIN": output_celltype,
        "FILESYSTEM": dict(filesystem or {}),
    }
    if modules:
        _load_modules(private, modules, pins, namespace)
    namespace.update(pins)
    namespace.pop("result", None)
    return namespace


def _load_modules(
    private: PrivateModules, modules: Mapping[str, Any], pins: Mapping[str, Any], namespace: dict[str, Any]
) -> None:
    """Bind the embedded modules as variables; the public names of `main`, the declared globals, as well."""
    if "main" in modules:
        # Global functions may use globals that travel as pins. A pin never replaces a builtin for them.
        private.preset["main"] = {pin: value for pin, value in pins.items() if not hasattr(builtins, pin)}
    for module in sorted(modules, key=lambda module: (module == "main", module)):
        if module == "main":
            others = {other: namespace[other] for other in modules if other != "main"}
            private.preset["main"] = {**others, **private.preset["main"]}
        namespace[module] = private.load(module)
    if "main" in modules:
        public = {key: value for key, value in vars(private.load("main")).items() if not key.startswith("_")}
        namespace.update(public)


def _run(program: _Program, code: str, namespace: dict[str, Any], pins: Mapping[str, Any]) -> Any:
    compiled = program.code
    if program.missing and (unknown := program.missing.difference(namespace)):
        compiled = _variant(program, code, unknown)
    if program.mode == "block":
        exec(compiled, namespace)
        if "result" not in namespace:
            raise RuntimeError(
                "Output variable name 'result' undefined: "
                "the code must assign 'result', or be one function or one expression"
            )
        return namespace["result"]
    if program.mode == "expression":
        return eval(compiled, namespace)
    function: Callable[..., Any]
    if program.mode == "lambda":
        function = eval(compiled, namespace)
    else:
        exec(compiled, namespace)
        function = namespace[program.function]
    accepted = program.parameters
    return function(**{pin: pins[pin] for pin in sorted(pins) if accepted is None or pin in accepted})


def _program(code: str, code_checksum: str, name: str) -> _Program:
    """Return the compiled code; the last 1000 are kept."""
    key = (code_checksum, name)
    with _lock:
        program = _compiled.get(key)
        if program is not None:
            _compiled.move_to_end(key)
    if program is None:
        filename = text_filename(name, code_checksum)
        register_text(filename, code)
        program = _compile(code, filename)
        with _lock:
            _compiled[key] = program
            while len(_compiled) > _MAX_COMPILED:
                _compiled.popitem(last=False)
    if not is_registered(program.filename):
        register_text(program.filename, code)
    return program


def _compile(code: str, filename: str) -> _Program:
    tree = _parse(code, filename)
    missing = global_names(code, annotations=True) or frozenset()
    node = tree.body[0] if len(tree.body) == 1 else None
    function, parameters = "", None
    mode: Mode = "block"
    if isinstance(node, ast.AsyncFunctionDef):
        raise SyntaxError("the code is a coroutine function: write a plain 'def', with asyncio.run(...) inside it")
    if isinstance(node, ast.FunctionDef):
        mode, function, parameters = "function", node.name, _parameters(node.args)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Lambda):
        mode, parameters = "lambda", _parameters(node.value.args)
    elif isinstance(node, ast.Expr):
        mode = "expression"
    compiled = _compile_tree(tree, filename, mode)
    return _Program(mode, compiled, filename, function, parameters, missing, {})


def _parse(code: str, filename: str) -> ast.Module:
    try:
        return python_tree(code, filename)
    except SyntaxError as first:
        # One expression of several lines, as a lambda in parentheses is when the parentheses are left out. The
        # line break keeps the columns, the shift below the lines.
        try:
            tree = python_tree(f"(\n{code}\n)", filename)
        except SyntaxError:
            raise first from None
    return ast.increment_lineno(tree, -1)


def _compile_tree(tree: ast.Module, filename: str, mode: Mode) -> CodeType:
    # dont_inherit: the future statements of this module are not those of the code.
    if mode in ("expression", "lambda"):
        statement = tree.body[0]
        assert isinstance(statement, ast.Expr)
        return compile(ast.Expression(statement.value), filename, "eval", dont_inherit=True)
    return compile(tree, filename, "exec", dont_inherit=True)


def _parameters(arguments: ast.arguments) -> frozenset[str] | None:
    if arguments.kwarg is not None:
        return None
    return frozenset(a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))


def _variant(program: _Program, code: str, unknown: frozenset[str]) -> CodeType:
    """Return the code with those annotations as text that use unknown names, and would fail."""
    variant = program.variants.get(unknown)
    if variant is None:
        tree = _AnnotationsAsText(unknown).visit(_parse(code, program.filename))
        variant = _compile_tree(ast.fix_missing_locations(tree), program.filename, program.mode)
        program.variants[unknown] = variant
    return variant


class _AnnotationsAsText(ast.NodeTransformer):
    def __init__(self, unknown: frozenset[str]) -> None:
        self.unknown = unknown

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("annotation", "returns"):
            annotation = getattr(node, field, None)
            if isinstance(annotation, ast.expr) and self._fails(annotation):
                text = ast.copy_location(ast.Constant(ast.unparse(annotation)), annotation)
                setattr(node, field, text)
        return super().generic_visit(node)

    def _fails(self, annotation: ast.expr) -> bool:
        return any(isinstance(n, ast.Name) and n.id in self.unknown for n in ast.walk(annotation))


# --- failures -----------------------------------------------------------------------------------

# The directory of Seamless itself: code that calls transformers has frames of it between its own.
_PACKAGE = __file__[: -len("transformer/python_run.py")]
_FILENAME = re.compile(r"<transformer (.+) [0-9a-f]{1,12}>")


def format_user_error(exc: BaseException, *, name: str, origin: tuple[str, int] | None = None) -> str:
    """Return the traceback of `exc` from the user's code on; it ends with a newline.

    The code text is shown as `<transformer NAME>`. `origin`: the file and line where its first line stands.
    """
    import traceback

    start = _first_user_frame(exc.__traceback__)
    shown = traceback.TracebackException(type(exc), exc, start)
    _prune(shown, name, tuple(origin) if origin else None, set())
    return "".join(shown.format()).rstrip("\n") + "\n"


def _first_user_frame(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and not _FILENAME.fullmatch(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def _prune(shown: TracebackException, name: str, origin: tuple[Any, ...] | None, seen: set[int]) -> None:
    """Leave out the frames of Seamless, and rename those of the code, in the whole chain."""
    if id(shown) in seen:
        return
    seen.add(id(shown))
    frames = [frame for frame in shown.stack if not frame.filename.startswith(_PACKAGE)]
    for frame in frames:
        match = _FILENAME.fullmatch(frame.filename)
        if match:
            frame.filename = f"<transformer {match[1]}>"
            if origin and match[1] == name and frame.lineno is not None:
                frame.name += f" ({origin[0]}:{origin[1] + frame.lineno - 1})"
    shown.stack[:] = frames
    match = _FILENAME.fullmatch(getattr(shown, "filename", None) or "")
    if match:
        shown.filename = f"<transformer {match[1]}>"
    inner = [shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())]
    for other in inner:
        if other is not None:
            _prune(other, name, origin, seen)
