"""Transformers: `direct` and `delayed`, and the state a step's transformations are made from."""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from seamless.buffer import Buffer
from seamless.celltypes import parse
from seamless.checksum import Checksum
from seamless.checksum.sha256 import quick
from seamless.errors import UsageError
from seamless.session import session
from seamless.shutdown import ensure_open
from seamless.transformer import blocking, runner
from seamless.transformer.construct import Definition, entry
from seamless.transformer.environment import Environment
from seamless.transformer.identity import transformation_buffer
from seamless.transformer.outcome import Envelope
from seamless.transformer.pins import Pin, format_entry, make_pin
from seamless.transformer.resources import check_resources
from seamless.transformer.transformation import Transformation
from seamless.transformer.wrappers import ArgsWrapper, CelltypesWrapper, GlobalsWrapper, ModulesWrapper

_DIRECTORY_CELLTYPES = ("folder", "deepfolder")
_LARGE = 1 << 20  # bytes
_IMMUTABLE = frozenset({str, bool, int, float, type(None)})
_SLOT = "\\" * 64  # where a checksum goes; no pin text contains it, as JSON quotes every backslash in pairs


class Transformer:
    """A step without its inputs. Calling it gives a Transformation."""

    is_direct = False

    def __init__(self, func_or_code: Callable[..., Any] | str, language: str | None = None) -> None:
        self._celltypes: dict[str, str] = {"result": "mixed"}
        self._args: dict[str, Any] = {}
        self._modules: dict[str, Any] = {}
        self._globals: dict[str, Any] = {}
        self._meta: dict[str, Any] = {"transformer_path": ["tf", "tf"], "local": False, "__direct_print__": False}
        self._environment = Environment()
        self._scratch = False
        self._language = language or "python"
        self._signature: Any = None
        self._parameters: tuple[str, ...] | None = None  # of a function
        self._positional = 0  # how many of them may be given by position
        self._function: types.FunctionType | None = None
        self._origin: tuple[str, int] | None = None  # (file, first line) of the code
        self.func_name = "transformer"
        self.timeout: float | None = None  # seconds that an execution may take; None: no limit
        self._forms: dict[Any, Any] = {}  # what is derived from the state, until the state changes
        self._set_code(func_or_code)

    # --- code ---------------------------------------------------------------------------------

    def _set_code(self, func_or_code: Any) -> None:
        if isinstance(func_or_code, (str, Buffer)):
            text = func_or_code if isinstance(func_or_code, str) else func_or_code.decode()
            self._function, self._signature, self._parameters = None, None, None
            self._origin = None
        else:
            from seamless.transformer.source import check_is_function, located_source

            check_is_function(func_or_code)
            if self._language != "python":
                raise TypeError(f"a function is Python code, not language {self._language!r}")
            text, filename, first_line = located_source(func_or_code)
            self._origin = (filename, first_line)
            self._bind_function(func_or_code)
        self._code = Buffer(text, "python" if self._language == "python" else "text")
        self._changed()

    def _bind_function(self, function: types.FunctionType) -> None:
        import inspect

        self._function = function
        self._signature = inspect.signature(function)
        self._parameters = tuple(self._signature.parameters)
        self._positional = sum(p.kind is not p.KEYWORD_ONLY for p in self._signature.parameters.values())
        self.func_name = function.__name__
        functools.update_wrapper(self, function)
        known = self._celltypes
        self._celltypes = {n: known.get(n, _default_celltype(n)) for n in (*self._parameters, "result")}

    @property
    def code(self) -> Buffer:
        """The normalised source text, as a buffer. Assign a function or text."""
        return self._code

    @code.setter
    def code(self, value: Any) -> None:
        self._set_code(value)

    @property
    def source_text(self) -> str:
        """The normalised source text."""
        return self._code.decode().rstrip("\n")

    @property
    def language(self) -> str:
        """`python`, `bash`, ... Assigning another language than Python drops the call signature."""
        return self._language

    @language.setter
    def language(self, value: str | None) -> None:
        self._language = value or "python"
        if self._language != "python":
            self._function, self._signature, self._parameters = None, None, None
        self._set_code(self._function or self.source_text)

    # --- state --------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._forms.clear()

    @property
    def celltypes(self) -> CelltypesWrapper:
        """Celltype of each pin and of `result`."""
        return CelltypesWrapper(self._celltypes, self._parameters is not None, self._changed)

    @property
    def args(self) -> ArgsWrapper:
        """Arguments bound in advance."""
        return ArgsWrapper(self._args, self._celltypes, self._parameters is not None, self._changed)

    @property
    def modules(self) -> ModulesWrapper:
        """Modules that travel with the code."""
        return ModulesWrapper(self._modules, False, self._changed)

    @property
    def globals(self) -> GlobalsWrapper:
        """Values that the code finds as global names."""
        return GlobalsWrapper(self._globals, False, self._changed)

    @property
    def environment(self) -> Environment:
        """What the step needs around it."""
        return self._environment

    @environment.setter
    def environment(self, value: Environment) -> None:
        if not isinstance(value, Environment):
            raise TypeError(f"environment must be an Environment, not {type(value).__name__}")
        self._environment = value

    @property
    def meta(self) -> dict[str, Any]:
        """How it is executed. Assignment merges; a key set to None is removed (except `local`)."""
        return self._meta

    @meta.setter
    def meta(self, value: Mapping[str, Any]) -> None:
        self._meta.update(value)
        for key in [k for k, v in self._meta.items() if v is None and k != "local"]:
            del self._meta[key]

    @property
    def scratch(self) -> bool:
        """Whether the result buffer is not kept."""
        return self._scratch

    @scratch.setter
    def scratch(self, value: bool) -> None:
        self._scratch = bool(value)

    @property
    def local(self) -> bool | None:
        """True: in the calling process, whatever the configuration says."""
        return self._meta.get("local")

    @local.setter
    def local(self, value: bool | None) -> None:
        self._meta["local"] = value

    @property
    def resources(self) -> dict[str, Any]:
        """What it takes of a Dask worker: `cores` (default 1), and what `dask_resources` of its queue names.

        Not in the identity. Raises ValueError where it is set to something else than amounts above 0.
        """
        return dict(self._meta.get("resources", {}))

    @resources.setter
    def resources(self, value: Mapping[str, Any]) -> None:
        self.meta = {"resources": check_resources(value) or None}

    @property
    def driver(self) -> bool:
        """Whether the step mostly starts other steps."""
        return bool(self._meta.get("driver"))

    @driver.setter
    def driver(self, value: bool) -> None:
        self._meta["driver"] = bool(value)

    @property
    def allow_input_fingertip(self) -> bool:
        """Whether inputs that are gone may be recomputed."""
        return bool(self._meta.get("allow_input_fingertip"))

    @allow_input_fingertip.setter
    def allow_input_fingertip(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"allow_input_fingertip is True or False, not {type(value).__name__}")
        self._meta["allow_input_fingertip"] = value

    @property
    def direct_print(self) -> bool | None:
        """Whether the output is shown live."""
        return self._meta.get("__direct_print__")

    @direct_print.setter
    def direct_print(self, value: bool | None) -> None:
        self._meta["__direct_print__"] = value

    def _copy_state(self, other: Transformer) -> None:
        """Take over an independent copy of the state of `other`."""
        self._celltypes, self._args = dict(other._celltypes), dict(other._args)
        self._modules, self._globals = dict(other._modules), dict(other._globals)
        self._meta, self._environment = dict(other._meta), other._environment.copy()
        self._scratch, self.timeout = other._scratch, other.timeout
        self._language, self._code = other._language, other._code
        self._signature, self._parameters = other._signature, other._parameters
        self._positional = other._positional
        self._function, self._origin, self.func_name = other._function, other._origin, other.func_name
        if self._function is not None:
            functools.update_wrapper(self, self._function)
        self._changed()

    def _kind(self, *, direct: bool) -> type[Transformer]:
        """Return the class of a direct or delayed transformer with such a state."""
        return DirectTransformer if direct else Transformer

    def copy(self) -> Transformer:
        """Return an independent transformer with the same state."""
        return _convert(self, type(self))

    # --- calling ------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the Transformation of this step with these arguments; they are serialised now."""
        return self.transformation(*args, **kwargs)

    def transformation(self, *args: Any, **kwargs: Any) -> Transformation:
        """Return the Transformation of this step with these arguments."""
        ensure_open("transformation")
        return Transformation(self._definition(self._bind(args, kwargs)))

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if self._parameters is None:
            return self._bind_by_name(args, kwargs)
        if not self._args and not kwargs and len(args) == len(self._parameters) == self._positional:
            return dict(zip(self._parameters, args, strict=True))
        try:
            given = self._signature.bind_partial(*args, **kwargs).arguments
            bound = self._signature.bind(**{**self._args, **given}).arguments
        except TypeError as exc:
            raise TypeError(f"{self.func_name}(): {exc}") from None
        return dict(bound)

    def _bind_by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if args:
            raise TypeError("No function signature: positional arguments not supported")
        bound = {**self._args, **kwargs}
        pins = [name for name in self._celltypes if name != "result"]
        for name in bound:
            if name not in self._celltypes or name == "result":
                raise TypeError(f"Unknown argument: '{name}' (declare it: celltypes['{name}'] = ...)")
        for name in pins:
            if name not in bound:
                raise TypeError(f"Missing argument: '{name}'")
        return bound

    def _definition(self, bound: dict[str, Any], made: Mapping[str, Pin] = MappingProxyType({})) -> Definition:
        form = self._form()
        pins: dict[str, Pin] = dict(form["pins"])
        keys: dict[str, Any] = {}
        for name, value in bound.items():
            celltype = self._celltypes[name]
            pins[name] = made.get(name) or make_pin(name, celltype, value)
            if celltype in _DIRECTORY_CELLTYPES:
                keys.setdefault("__format__", {})[name] = format_entry(celltype)
        return Definition(self._language, pins, self._celltypes.get("result", "mixed"), self._envelope(), keys)

    def _envelope(self) -> Envelope:
        meta = self._meta
        return Envelope(
            meta=_copied(meta),
            env=self._environment._to_lowlevel(),
            scratch=self._scratch,
            local=bool(meta.get("local")),
            direct_print=bool(meta.get("__direct_print__")),
            allow_input_fingertip=bool(meta.get("allow_input_fingertip")),
            timeout=self.timeout,
            name=self.func_name,
            origin=self._origin,
        )

    def _form(self) -> dict[Any, Any]:
        """Return what all calls share until the state changes: code, modules and globals as pins."""
        if "pins" in self._forms:
            return self._forms
        pins = {"code": self._code_pin()}
        modules = dict(self._modules)
        values: dict[str, Any] = {}
        if self._globals:
            modules, values = self._with_globals(modules)
        for name, definition in modules.items():
            pins[name] = Pin("plain", "module", Buffer(definition, "plain"))
        for name, value in values.items():
            pins[name] = make_pin(name, "mixed", value)
        for pin in pins:
            if pin != "code" and pin in self._celltypes:
                raise UsageError(f"'{pin}' is both an argument and a module or global of {self.func_name}")
        if self._language == "python":
            self._check_declared(set(pins), modules.get("main"))
            self._warn_of_modules(set(modules))
        self._forms["pins"] = pins
        return self._forms

    def _code_pin(self) -> Pin:
        if self._language == "python":
            return Pin("python", "transformer", self._code)
        return Pin("text", "transformer", self._code)

    def _with_globals(self, modules: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the modules with the globals in `main`, and the globals that are pins of their own."""
        from seamless.transformer.globals_text import globals_definition

        main, values = globals_definition(self._globals, modules.get("main"))
        if main is not None:
            modules["main"] = main
        return modules, values

    def _check_declared(self, known: set[str], main: dict[str, Any] | None) -> None:
        from seamless.transformer.freevars import check_declared, check_globals, defined_names, undeclared_names

        if main is not None and isinstance(main.get("code"), str):
            known = known | set(defined_names(main["code"]))
        known = known | set(self._globals) | set(self._modules) | {n for n in self._celltypes if n != "result"}
        check_globals(self._globals, known=known, step=self.func_name)
        if self._function is not None:
            check_declared(self._function, known=known)
            return
        try:
            undeclared = undeclared_names(self.source_text, known=known)
        except SyntaxError:
            return  # reported, with the line, when it is executed
        if undeclared:
            names = "\n".join(
                f"line {item.line} of the code uses '{item.name}', which does not exist where it is executed: declare "
                f"it as an argument (celltypes.{item.name} = ...) or as a global (globals.{item.name} = {item.name})"
                for item in undeclared
            )
            raise UsageError(names)

    def _warn_of_modules(self, declared: set[str]) -> None:
        if "import" not in self.source_text:
            return
        from seamless.transformer.own_modules import warn_of_own_imports
        from seamless.transformer.source import located_source

        text, filename, line = self.source_text, f"<{self.func_name}>", 1
        if self._function is not None:
            text, filename, line = located_source(self._function)
        warn_of_own_imports(text, declared, step=self.func_name, filename=filename, first_line=line)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self  # a step is no method: it gets exactly the arguments of the call

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.func_name} ({self._language})>"


class DirectTransformer(Transformer):
    """A step whose call gives the value."""

    is_direct = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value for these arguments: looked up, or computed now. Raises TransformationError."""
        if blocking.in_plain_loop():
            raise RuntimeError(
                f"Cannot block on {self.func_name}() from within the running event loop. "
                f"Use 'await delayed({self.func_name})(...).task()' instead."
            )
        bound = self._bind(args, kwargs)
        found, pins, missed = self._known_value(bound)
        if pins is None:
            return found
        ensure_open("transformation")
        return Transformation(self._definition(bound, pins), missed=missed and not self._scratch).run()

    def _known_value(self, bound: dict[str, Any]) -> tuple[Any, dict[str, Pin] | None, bool]:
        """Return (value, None, False) if the result is known, else (None, the pins made so far, whether it was sought).

        The short way of a cached call: no Transformation is built, nothing is registered.
        """
        pins: dict[str, Pin] = {}
        hexes: list[str] = []
        for name in sorted(bound):
            celltype, value = self._celltypes[name], bound[name]
            pin = pins[name] = make_pin(name, celltype, value)
            if type(pin.source) is not Buffer or pin.leaves or celltype in _DIRECTORY_CELLTYPES:
                return None, pins, False
            source = pin.source
            # A large buffer is hashed once for all: it is not the cached call that it slows down.
            small = len(source) < _LARGE
            hexes.append(quick[0](source.content).hexdigest() if small else source.get_checksum().hex())
        pieces = self._identity_pieces(tuple(pins), pins)
        text = pieces[0] + "".join([h + p for h, p in zip(hexes, pieces[1:], strict=True)])
        if session.closed:
            return None, pins, False
        buffer = runner.lookup_buffer(Checksum.of(text.encode()))
        if buffer is None:
            return None, pins, True
        return parse(buffer.view, self._celltypes["result"]), None, False

    def _identity_pieces(self, names: tuple[str, ...], pins: dict[str, Pin]) -> list[str]:
        """Return the identity text of a call with these pins, cut at the checksums of the arguments."""
        form = self._form()
        pieces = form.get(names)
        if pieces is None:
            tf_dict: dict[str, Any] = {
                "__language__": self._language,
                "__output__": ["result", self._celltypes["result"], None],
            }
            for name, pin in form["pins"].items():
                tf_dict[name] = entry(name, pin, pin.source.get_checksum().hex())
            for name, pin in pins.items():
                tf_dict[name] = [pin.celltype, pin.subcelltype, _SLOT]
            pieces = form[names] = transformation_buffer(tf_dict).decode().split(_SLOT)
        return pieces  # type: ignore[no-any-return]


def _copied(value: Any) -> Any:
    """Return a deep copy; of what is plain, as it nearly always is, without the detours that others need."""
    kind = type(value)
    if kind is dict:
        return {key: _copied(item) for key, item in value.items()}
    if kind is list:
        return [_copied(item) for item in value]
    return value if kind in _IMMUTABLE else copy.deepcopy(value)


def _default_celltype(name: str) -> str:
    return "plain" if name.endswith("_SCHEMA") else "mixed"


def _convert(transformer: Transformer, kind: type[Transformer]) -> Any:
    new = kind.__new__(kind)
    new._forms = {}
    new._copy_state(transformer)
    return new


def _nothing_given(name: str) -> TypeError:
    return TypeError(
        f"{name}() needs a function or source text; as a decorator, use @{name} without parentheses, and set what "
        "there is to set on the step: step.celltypes.x = ..."
    )


def direct(func_or_code: Any = ..., language: str | None = None) -> DirectTransformer:
    """Make a step whose call gives the value.

    From a Python function (also as a decorator), from source text in `language` (`python`, `bash`), or
    from another transformer, whose state is copied. Raises TypeError for anything else.
    """
    if isinstance(func_or_code, Transformer):
        return _convert(func_or_code, func_or_code._kind(direct=True))  # type: ignore[no-any-return]
    if func_or_code is ...:
        raise _nothing_given("direct")
    return DirectTransformer(func_or_code, language)


def delayed(func_or_code: Any = ..., language: str | None = None) -> Transformer:
    """Make a step whose call gives a Transformation, to be computed when it is needed. Sources as for `direct`."""
    if isinstance(func_or_code, Transformer):
        return _convert(func_or_code, func_or_code._kind(direct=False))  # type: ignore[no-any-return]
    if func_or_code is ...:
        raise _nothing_given("delayed")
    return Transformer(func_or_code, language)
