"""A private world of modules for one execution: embedded modules, and an `__import__` that prefers them.

Never touches `sys.modules`: executions in one process cannot see each other's modules.
The texts are registered in `linecache`, so that tracebacks and `inspect.getsource` show them.
"""

from __future__ import annotations

import builtins
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import CodeType, ModuleType
from typing import Any

from seamless.transformer.modules import DEFINITION_ATTRIBUTE

ROOT = "transformer"  # the package that the code believes to be in
_MAX_TEXTS = 2000
_MAX_COMPILED = 500

_lock = threading.Lock()
_texts: OrderedDict[str, None] = OrderedDict()
_compiled: OrderedDict[tuple[str, str], tuple[str, CodeType]] = OrderedDict()


def text_filename(label: str, digest: str) -> str:
    """Return the file name under which a text with this (hex) digest is compiled and shown."""
    return f"<transformer {label} {digest[:12]}>"


def register_text(filename: str, text: str) -> None:
    """Make `text` known to `linecache` as the content of `filename`. The last 2000 texts are kept."""
    import linecache

    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    entry = (len(text), None, lines, filename)
    with _lock:
        # An entry without modification time is not checked against the disk.
        linecache.cache[filename] = entry
        _texts[filename] = None
        _texts.move_to_end(filename)
        while len(_texts) > _MAX_TEXTS:
            linecache.cache.pop(_texts.popitem(last=False)[0], None)


def is_registered(filename: str) -> bool:
    """Tell whether `linecache` still has the text (anybody may clear it)."""
    linecache = sys.modules.get("linecache")
    return linecache is not None and filename in linecache.cache


class PrivateModules:
    """The embedded modules of one execution. Thread-safe; a module is executed at its first import."""

    def __init__(self, definitions: Mapping[str, Mapping[str, Any]], *, label: str = "code") -> None:
        self.label = label
        # Full dotted name below the root -> (text, is it a package).
        self.texts: dict[str, tuple[str, bool]] = {}
        self.definitions = definitions
        self.preset: dict[str, Mapping[str, Any]] = {}  # module -> names that it finds defined
        self._modules: dict[str, ModuleType] = {}
        self._pending: set[str] = set()  # being executed
        self._loading = threading.RLock()
        self.builtins: dict[str, Any] = dict(vars(builtins))
        self.builtins["__import__"] = self.import_
        for name, definition in definitions.items():
            self._add(name, definition["code"])
        root = ModuleType(ROOT)
        root.__path__ = []
        root.__package__ = ROOT
        self._modules[""] = root

    def _add(self, name: str, code: str | Mapping[str, Mapping[str, Any]]) -> None:
        if isinstance(code, str):
            self.texts[name] = (code, False)
            return
        for key, entry in code.items():
            if key == "__init__" or key.endswith(".__init__"):
                full = f"{name}.{key}"[: -len(".__init__")]
                self.texts[full] = (entry["code"], True)
            else:
                self.texts[f"{name}.{key}"] = (entry["code"], False)
        for full in list(self.texts):
            # A directory without __init__ in between.
            parent = full.rpartition(".")[0]
            while parent:
                self.texts.setdefault(parent, ("", True))
                parent = parent.rpartition(".")[0]

    def load(self, name: str) -> ModuleType:
        """Return the module with this dotted name below the root, executing it and its parents if need be."""
        module = self._modules.get(name)
        if module is not None and name not in self._pending:
            return module
        with self._loading:
            if name in self._modules:
                return self._modules[name]
            parent_name, _, last = name.rpartition(".")
            parent = self.load(parent_name)
            if name in self._modules:  # the parent has imported it
                return self._modules[name]
            if name not in self.texts:
                raise ModuleNotFoundError(self._missing(name), name=f"{ROOT}.{name}")
            return self._execute(name, parent, last)

    def _missing(self, name: str) -> str:
        there = ", ".join(sorted(self.definitions)) or "none"
        declare = f"declare it as modules.{name.partition('.')[0]}"
        return f"No module named '{ROOT}.{name}' (embedded modules: {there}; {declare})"

    def _execute(self, name: str, parent: ModuleType, last: str) -> ModuleType:
        text, is_package = self.texts[name]
        filename, code = _compile(f"{self.label}/{name}", text)
        full = f"{ROOT}.{name}"
        module = ModuleType(full)
        namespace = module.__dict__
        namespace.update(self.preset.get(name, {}))
        namespace["__builtins__"] = self.builtins
        namespace["__file__"] = filename
        namespace["__package__"] = full if is_package else parent.__name__
        if is_package:
            namespace["__path__"] = []
        if name in self.definitions:
            namespace[DEFINITION_ATTRIBUTE] = self.definitions[name]
        # Before the execution: modules of a package may import each other in a circle.
        self._pending.add(name)
        self._modules[name] = module
        setattr(parent, last, module)
        try:
            exec(code, namespace)
        except BaseException:
            del self._modules[name]
            parent.__dict__.pop(last, None)
            raise
        finally:
            self._pending.discard(name)
        return module

    def import_(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> ModuleType:
        """Do what the import statement asks; the embedded modules come first."""
        if level:
            target = self._resolve(name, (globals or {}).get("__package__") or ROOT, level)
            module = self.load(target)
            return self._with_members(module, target, fromlist)
        target_or_none = self._private_name(name)
        if target_or_none is None:
            module = builtins.__import__(name, globals, locals, fromlist, level)
            shim = _SHIMS.get(getattr(module, "__name__", ""))
            return module if shim is None else shim(self, module)
        module = self.load(target_or_none)
        if fromlist:
            return self._with_members(module, target_or_none, fromlist)
        first = name.partition(".")[0]
        return self._modules["" if first == ROOT and first not in self.definitions else first]

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Do what `importlib.import_module` does; the embedded modules come first."""
        import importlib

        level = len(name) - len(name.lstrip("."))
        if level and package is not None and (package == ROOT or package.startswith(ROOT + ".")):
            return self.load(self._resolve(name[level:], package, level))
        target = self._private_name(name) if not level else None
        return importlib.import_module(name, package) if target is None else self.load(target)

    def _private_name(self, name: str) -> str | None:
        """Return the name below the root of what an absolute import asks for; None: it is not embedded."""
        first, _, rest = name.partition(".")
        if first in self.definitions:
            return name
        return rest if first == ROOT else None

    @staticmethod
    def _resolve(name: str, package: str, level: int) -> str:
        parts = package.split(".")
        if level > len(parts):
            raise ImportError("attempted relative import beyond top-level package")
        parts = parts[1 : len(parts) - level + 1]
        return ".".join([*parts, name] if name else parts)

    def _with_members(self, module: ModuleType, name: str, fromlist: Any) -> ModuleType:
        """Load the submodules among the names of `from module import names`."""
        if not hasattr(module, "__path__"):
            return module
        names = list(fromlist)
        if "*" in names:
            names += getattr(module, "__all__", ())
        for member in names:
            full = f"{name}.{member}" if name else member
            if full in self.texts and not hasattr(module, member):
                self.load(full)
            elif not name and member not in self.definitions and member != "*":
                raise ImportError(self._missing(member), name=ROOT)
        return module


def _compile(label: str, text: str) -> tuple[str, CodeType]:
    """Return file name and code of a module text; the last 500 are kept."""
    with _lock:
        found = _compiled.get((label, text))
        if found is not None:
            _compiled.move_to_end((label, text))
    if found is None:
        import hashlib

        filename = text_filename(label, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
        register_text(filename, text)
        found = filename, compile(text, filename, "exec", dont_inherit=True)
        with _lock:
            _compiled[label, text] = found
            while len(_compiled) > _MAX_COMPILED:
                _compiled.popitem(last=False)
    if not is_registered(found[0]):
        register_text(found[0], text)
    return found


def _overlay(module: ModuleType, **changed: Any) -> ModuleType:
    """Return a module that looks like `module` but for some names."""
    shim = ModuleType(module.__name__, module.__doc__)
    shim.__dict__.update(changed)
    shim.__dict__["__getattr__"] = lambda name: getattr(module, name)
    shim.__dict__["__dir__"] = lambda: dir(module)
    return shim


def _importlib_shim(modules: PrivateModules, importlib: ModuleType) -> ModuleType:
    return _overlay(importlib, import_module=modules.import_module)


def _dataclasses_shim(modules: PrivateModules, dataclasses: ModuleType) -> ModuleType:
    return _overlay(dataclasses, dataclass=_private_dataclass(dataclasses.dataclass))


class _Globals:
    """An object whose attributes are the names of a namespace."""


def _private_dataclass(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return `dataclass` for classes whose module is not in `sys.modules`.

    With annotations as text the real one looks for that module and fails without it. For the moment of the
    call it finds the namespace of the caller there, under a name that nobody else can have.
    """

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(cls: type) -> type:
            module = cls.__module__
            stand_in = _Globals()
            stand_in.__dict__ = namespace
            unique = f"{module} at {id(stand_in):x}"
            sys.modules[unique] = stand_in  # type: ignore[assignment]
            cls.__module__ = unique
            try:
                decorated: type = real(cls, **options)
            finally:
                cls.__module__ = module
                del sys.modules[unique]
            decorated.__module__ = module
            return decorated

        namespace = sys._getframe(1).f_globals
        return decorate if cls is None else decorate(cls)

    return dataclass


_SHIMS: dict[str, Callable[[PrivateModules, ModuleType], ModuleType]] = {
    "importlib": _importlib_shim,
    "dataclasses": _dataclasses_shim,
}
