"""CompiledTransformer and DirectCompiledTransformer: steps whose code is compiled, described by a schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.transformer.compiled.header import generate_header
from seamless.transformer.compiled.parts import (
    CompiledCelltypes,
    CompiledObject,
    Metavars,
    ObjectList,
    check_compilation,
    read_source,
)
from seamless.transformer.compiled.run import ORIGINS
from seamless.transformer.compiled.schema import Signature, parse_schema
from seamless.transformer.construct import Definition
from seamless.transformer.languages import CompilationConfig, get_language
from seamless.transformer.outcome import Envelope
from seamless.transformer.pins import Pin
from seamless.transformer.transformer import DirectTransformer, Transformer

_RESERVED = ("code", "objects", "result")


class CompiledTransformer(Transformer):
    """A step in a compiled language; calling it gives a Transformation.

    `schema` and `code` must be set before. The code is built once, and each call has a process of its own.
    """

    def __init__(
        self, language: str, *, scratch: bool = False, direct_print: bool | None = False, local: bool | None = False
    ) -> None:
        compilation = get_language(language).compilation.copy()
        super().__init__("", language)
        self._compilation = compilation
        self._schema_text: str | None = None
        self._signature_: Signature | None = None
        self._source: str | None = None
        self._source_origin: str | None = None
        self._objects = ObjectList()
        self._metavars = Metavars()
        self._scratch = bool(scratch)
        self._meta["__direct_print__"] = direct_print
        self._meta["local"] = local
        self._parameters = ()

    # --- what it is made of -------------------------------------------------------------------

    @property
    def language(self) -> str:
        """The language of `code`; fixed."""
        return self._language

    @language.setter
    def language(self, value: str | None) -> None:
        raise AttributeError("the language of a compiled step is fixed when it is made")

    @property
    def schema(self) -> str | None:
        """The schema, YAML text. Assign text or a Path. Raises TypeError, with file and line, for mistakes."""
        return self._schema_text

    @schema.setter
    def schema(self, value: str | Path) -> None:
        import inspect

        text, origin = read_source(value, "a schema")
        signature = parse_schema(text, origin)
        for parameter in signature.inputs:
            if parameter.name in _RESERVED or parameter.name.startswith(("__", "META__")):
                raise TypeError(f"Parameter '{parameter.name}' of the schema has a name that an input cannot have")
        names = [parameter.name for parameter in signature.inputs]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self._signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
        self._parameters, self._positional = tuple(names), len(names)
        self._schema_text, self._signature_ = text, signature
        self._celltypes = {**dict.fromkeys(names, "mixed"), "result": self._celltypes["result"]}
        self._args = {name: item for name, item in self._args.items() if name in names}
        self._metavars = Metavars([f"max{name}" for name in signature.output_wildcards], self._metavars.to_dict())
        self._changed()

    @property
    def header(self) -> str | None:
        """The C header that the schema gives; the code may include it as `transformer.h`. None without a schema."""
        return None if self._signature_ is None else generate_header(self._signature_)

    @property
    def code(self) -> Any:
        """The source. Assign text or a Path, which is read at once."""
        return self._source

    @code.setter
    def code(self, value: str | Path) -> None:
        self._source, self._source_origin = read_source(value, "the code of a compiled step")
        self._origin = None if self._source_origin is None else (self._source_origin, 1)
        self._code = Buffer(self._source, "text")
        self._changed()

    @property
    def objects(self) -> ObjectList:
        """More sources that are linked in."""
        return self._objects

    @property
    def metavars(self) -> Metavars:
        """The most that the wildcards of outputs may become."""
        return self._metavars

    @property
    def compilation(self) -> CompilationConfig:
        """How the code is compiled: compiler, options, target, link options. Never part of the identity."""
        return self._compilation

    @compilation.setter
    def compilation(self, value: CompilationConfig) -> None:
        self._compilation = check_compilation(value)

    @property
    def resources(self) -> dict[str, Any]:
        """What a call may use: `cores`, as many threads has OpenMP (default: all processors). Not in the identity."""
        return dict(self._meta.get("resources", {}))

    @resources.setter
    def resources(self, value: Mapping[str, int]) -> None:
        cores = value.get("cores", 1)
        if set(value) - {"cores"} or type(cores) is not int or cores < 1:
            raise ValueError(f"resources of a compiled step are {{'cores': N}}, N from 1, not {dict(value)!r}")
        self.meta = {"resources": dict(value) or None}

    @property
    def celltypes(self) -> Any:
        """Celltypes; only that of `result` can be set."""
        return CompiledCelltypes(self._celltypes, self._changed)

    @property
    def modules(self) -> Any:
        """Python modules: there are none."""
        raise NotImplementedError("compiled code has no Python modules; append a CompiledObject to 'objects'")

    @property
    def globals(self) -> Any:
        """Python globals: there are none."""
        raise NotImplementedError("compiled code has no Python globals; make each an input of the schema")

    def stub(self, language: str | None = None) -> str:
        """Return a skeleton of the code that the schema asks for, in this or another of c, cpp, fortran, rust."""
        from seamless.transformer.compiled.stub import stub_text

        self._check_schema()
        assert self._signature_ is not None
        return stub_text(self._signature_, language or self._language)

    def build(self) -> str:
        """Build the code now, so that the first call need not; return what the compilers have said. Blocks.

        Raises TransformationError for code that cannot be built.
        """
        from seamless.transformer.compiled.cache import get_module
        from seamless.transformer.compiled.definition import ModuleDefinition, Source
        from seamless.transformer.compiled.entry import entry_text

        self._check_complete()
        assert self._signature_ is not None and self._source is not None
        sources = [Source("main", self._language, _text(self._source), self._compilation, self._source_origin)]
        for name, item in self._objects.named().items():
            sources.append(Source(name, item.language, item.code or "", item.compilation, item._origin))
        header, entry = generate_header(self._signature_), entry_text(self._signature_)
        return str(get_module(ModuleDefinition(tuple(sources), header, entry)).report["warnings"])

    # --- calling ------------------------------------------------------------------------------

    def _check_schema(self) -> None:
        if self._signature_ is None:
            raise ValueError("compiled transformer schema is not set")

    def _check_complete(self) -> None:
        """Raise ValueError for what is missing."""
        self._check_schema()
        if self._source is None:
            raise ValueError("compiled transformer code is not set")
        for name, item in self._objects.named().items():
            if item.code is None:
                raise ValueError(f"Compiled object '{name}' has no code")
        if not self._metavars.is_complete:
            raise ValueError(f"compiled transformer metavars are incomplete: {self._metavars.missing()}")

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        from seamless.transformer.compiled.values import given_value

        self._check_complete()
        assert self._signature_ is not None
        bound = super()._bind(args, kwargs)
        return {p.name: given_value(p, bound[p.name]) for p in self._signature_.inputs}

    def _form(self) -> dict[Any, Any]:
        sources = tuple((item.language, item.code) for item in self._objects)
        if "pins" not in self._forms or self._forms["sources"] != sources:
            self._forms.clear()
            objects = {
                name: {"name": name, "language": item.language, "code": item.code}
                for name, item in self._objects.named().items()
            }
            self._forms["sources"] = sources
            self._forms["pins"] = {
                "__schema__": Pin("text", None, Buffer(self._schema_text, "text")),
                "code": Pin("text", "transformer", self._code),
                "objects": Pin("plain", "compiled-objects", Buffer(objects, "plain")),
            }
        return self._forms

    def _definition(self, bound: dict[str, Any], made: Mapping[str, Pin] = MappingProxyType({})) -> Definition:
        definition = super()._definition(bound, made)
        compilation = {
            "main": self._compilation.stored(),
            "objects": {name: item.compilation.stored() for name, item in self._objects.named().items()},
        }
        derived = {
            "__compilation__": Pin("plain", None, Buffer(compilation, "plain")),
            "__header__": Pin("text", None, Buffer(self.header, "text")),
        }
        return replace(definition, pins={**definition.pins, **derived})

    def _envelope(self) -> Envelope:
        pins: dict[str, Any] = {"__compiled__": True}
        named = {"main": self._source_origin, **{n: item._origin for n, item in self._objects.named().items()}}
        if origins := {name: origin for name, origin in named.items() if origin is not None}:
            pins[ORIGINS] = origins
        envelope = super()._envelope()
        metavars = self._metavars.to_dict()
        meta = {**envelope.meta, "metavars": metavars} if metavars else envelope.meta
        return replace(envelope, meta=meta, pins=pins)

    def _copy_state(self, other: Transformer) -> None:
        super()._copy_state(other)
        assert isinstance(other, CompiledTransformer)
        self._compilation = other._compilation.copy()
        self._schema_text, self._signature_ = other._schema_text, other._signature_
        self._source, self._source_origin = other._source, other._source_origin
        self._objects = ObjectList(item.copy() for item in other._objects)
        self._metavars = Metavars(other._metavars._values, other._metavars.to_dict())

    def _kind(self, *, direct: bool) -> type[Transformer]:
        return DirectCompiledTransformer if direct else CompiledTransformer


class DirectCompiledTransformer(CompiledTransformer, DirectTransformer):
    """A step in a compiled language whose call gives the value; that of a `deepcell` with its members."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value for these arguments: looked up, or computed now. Raises TransformationError."""
        value = DirectTransformer.__call__(self, *args, **kwargs)
        return _unpacked(value) if self._celltypes["result"] == "deepcell" else value


def _unpacked(value: Any) -> Any:
    """Return a structure of checksums with the values for them."""
    from seamless.transformer.deliver import map_leaves
    from seamless.transformer.recompute import fingertip_result

    return map_leaves(value, lambda leaf: fingertip_result(Checksum(leaf)).get_value("mixed"))


def _text(source: str) -> str:
    """Return the text as an execution gets it: without the newlines at its end."""
    return source.rstrip("\n")


__all__ = ["CompiledObject", "CompiledTransformer", "DirectCompiledTransformer"]
