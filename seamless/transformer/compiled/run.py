"""`run_compiled`: one transformation in a compiled language, from its pins to its result."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

from seamless.buffer import Buffer
from seamless.cache.access import Buffers
from seamless.celltypes import parse
from seamless.checksum import Checksum
from seamless.transformer.compiled.cache import Module, build_directory, forget, get_module
from seamless.transformer.compiled.definition import ModuleDefinition, Source
from seamless.transformer.compiled.entry import entry_text
from seamless.transformer.compiled.header import generate_header
from seamless.transformer.compiled.host import Host, NativeAnswer, NativeCall
from seamless.transformer.compiled.schema import Signature, parse_schema
from seamless.transformer.compiled.toolchain import surroundings
from seamless.transformer.deliver import input_value, result_buffer
from seamless.transformer.languages import get_language, is_compiled_language
from seamless.transformer.languages.configuration import CompilationConfig, compilation_from
from seamless.transformer.outcome import Envelope, OutputHandler, Usage

ORIGINS = "META__origins"  # among the orthogonal pins: the files that the sources come from, by name of the object


@dataclass(frozen=True)
class CompiledResult:
    """A step that succeeded. `compilation`: how its code was made, for the record."""

    result: Checksum
    stdout: bytes
    stderr: bytes
    usage: Usage
    compilation: dict[str, Any]


class _Made(NamedTuple):
    """A module that is ready, with what it was made from."""

    definition: ModuleDefinition
    config: dict[str, Any]  # the stored form of the compilation
    module: Module


_recent: dict[Any, _Made] = {}  # by the checksums of what they are made from
_MOST_RECENT = 256


class CompiledFailure(Exception):
    """A step that failed; the cause is an error of the kind that fits. With what the code has printed."""

    def __init__(self, answer: NativeAnswer):
        super().__init__()
        self.answer = answer


def run_compiled(
    transformation: Mapping[str, Any],
    envelope: Envelope,
    buffers: Buffers,
    *,
    on_output: OutputHandler | None = None,
    canceled: threading.Event | None = None,
    host: Host | None = None,
) -> CompiledResult:
    """Build the module if need be, call it in a process of its own, and add its result. Blocks.

    `envelope.timeout` counts from the beginning of the call: a build has a limit of its own. Raises CompiledFailure,
    BuildError, what `buffers` raises, and ValueError, TypeError, OverflowError for inputs that do not fit.
    """
    if host is None:
        from seamless.transformer.compiled.forkserver import fork_server

        fork_server.start()  # while it starts, the module is built
        host = fork_server
    signature = _schema(transformation, buffers)
    _check_derived(transformation, envelope, signature)
    maxima = _maxima(signature, envelope)
    arrays = _inputs(transformation, signature, buffers)
    started = time.monotonic()
    made = _made(transformation, envelope, signature, buffers, canceled)
    waited = time.monotonic() - started
    answer, results = _call(host, made.module, signature, arrays, maxima, envelope, on_output, canceled)
    celltype = transformation["__output__"][1]
    value = results[signature.outputs[0].name] if len(signature.outputs) == 1 else results
    try:
        result = result_buffer(value, celltype, buffers)
    except (TypeError, ValueError) as exc:
        _fail(answer, TypeError(f"the result cannot be stored with celltype '{celltype}': {exc}"))
    compilation = _described(made, maxima, waited)
    if envelope.record:
        from seamless.transformer.recording.context import links_of

        compilation["links"] = links_of(made.module.path)
    return CompiledResult(result, answer.stdout, answer.stderr, answer.usage, compilation)


def _schema(transformation: Mapping[str, Any], buffers: Buffers) -> Signature:
    checksum = transformation.get("__schema__")
    if checksum is None:
        raise ValueError(
            f"a transformation in language '{transformation['__language__']}' needs a schema: make it with "
            "CompiledTransformer"
        )
    return signature_of(parse(buffers.read(Checksum(checksum)), "text"))


@functools.lru_cache(maxsize=256)
def signature_of(text: str) -> Signature:
    """Return the signature of a schema that has been accepted before."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return parse_schema(text)


@functools.lru_cache(maxsize=256)
def _texts(signature: Signature) -> tuple[str, str]:
    return generate_header(signature), entry_text(signature)


def _orthogonal(transformation: Mapping[str, Any], envelope: Envelope, key: str) -> Any:
    return transformation.get(key, envelope.pins.get(key))


def _check_derived(transformation: Mapping[str, Any], envelope: Envelope, signature: Signature) -> None:
    """Raise ValueError if what is derived from the schema was supplied, and is different."""
    compiled = _orthogonal(transformation, envelope, "__compiled__")
    if compiled not in (None, True):
        raise ValueError(f"the supplied __compiled__ is {compiled!r}: it must be True")
    header = _orthogonal(transformation, envelope, "__header__")
    if header is not None and Checksum(header) != Buffer(_texts(signature)[0], "text").get_checksum():
        raise ValueError("the supplied __header__ does not match the schema-generated header")


def _made(
    transformation: Mapping[str, Any],
    envelope: Envelope,
    signature: Signature,
    buffers: Buffers,
    canceled: threading.Event | None,
) -> _Made:
    """Return the module of a step, built if nobody has."""
    compilation = _orthogonal(transformation, envelope, "__compilation__")
    names = ("__language__", "__schema__", "code", "objects")
    checksums = [str(transformation.get(name)) for name in names]
    key = (*checksums, compilation, build_directory(), surroundings()) if isinstance(compilation, str) else None
    known = _recent.get(key)
    if known is not None and os.path.exists(known.module.path):
        return known._replace(module=replace(known.module, built=False))
    definition, config = module_definition(transformation, envelope, signature, buffers)
    made = _Made(definition, config, get_module(definition, canceled))
    if key is not None and not made.module.report["files"]:  # those may change
        while len(_recent) >= _MOST_RECENT:
            _recent.pop(next(iter(_recent)), None)
        _recent[key] = made
    return made


def module_definition(
    transformation: Mapping[str, Any], envelope: Envelope, signature: Signature, buffers: Buffers
) -> tuple[ModuleDefinition, dict[str, Any]]:
    """Return what the module is built from, and the stored form of the compilation. Raises KeyError."""
    stored: dict[str, Any] = {}
    checksum = _orthogonal(transformation, envelope, "__compilation__")
    if isinstance(checksum, str):
        stored = parse(buffers.read(Checksum(checksum)), "plain")
    elif checksum is not None:
        stored = dict(checksum)
    origins = envelope.pins.get(ORIGINS, {})
    code = parse(buffers.read(Checksum(transformation["code"][2])), "text")
    language = transformation["__language__"]
    sources = [Source("main", language, code, _config(stored.get("main"), language), origins.get("main"))]
    objects = transformation.get("objects")
    if objects is not None and objects[2] is not None:
        configs = stored.get("objects", {})
        for name, item in parse(buffers.read(Checksum(objects[2])), "plain").items():
            config = _config(configs.get(name), item["language"])
            sources.append(Source(name, item["language"], item["code"], config, origins.get(name)))
    header, entry = _texts(signature)
    used = {
        "main": sources[0].compilation.stored(),
        "objects": {source.name: source.compilation.stored() for source in sources[1:]},
    }
    return ModuleDefinition(tuple(sources), header, entry), used


def _config(stored: Mapping[str, Any] | None, language: str) -> CompilationConfig:
    """Return the compilation that travels with the step, else the default of the language."""
    if stored is not None:
        return compilation_from(stored)
    if not is_compiled_language(language):
        raise ValueError(f"Unknown compiled language: {language!r}, and the step does not say how to compile it")
    return get_language(language).compilation.copy()


def _maxima(signature: Signature, envelope: Envelope) -> dict[str, int]:
    given = envelope.meta.get("metavars") or {}
    missing = [f"max{name}" for name in signature.output_wildcards if not isinstance(given.get(f"max{name}"), int)]
    if missing:
        raise ValueError(f"compiled transformer metavars are incomplete: {missing}")
    return {name: given[f"max{name}"] for name in signature.output_wildcards}


def _inputs(transformation: Mapping[str, Any], signature: Signature, buffers: Buffers) -> dict[str, Any]:
    from seamless.transformer.compiled.values import input_array

    arrays = {}
    for parameter in signature.inputs:
        entry = transformation.get(parameter.name)
        if entry is None:
            raise ValueError(f"Input '{parameter.name}' is missing")
        celltype, _, checksum = entry
        value = None if checksum is None else input_value(celltype, Checksum(checksum), buffers)
        arrays[parameter.name] = input_array(parameter, value)
    return arrays


def _call(
    host: Host,
    module: Module,
    signature: Signature,
    arrays: Mapping[str, Any],
    maxima: Mapping[str, int],
    envelope: Envelope,
    on_output: OutputHandler | None,
    canceled: threading.Event | None,
) -> tuple[NativeAnswer, dict[str, Any]]:
    """Make the call; return what it has said and its outputs. Raises CompiledFailure."""
    from seamless.transformer.compiled.memory import Block

    block = Block(signature, arrays, maxima)
    try:
        call = NativeCall(module.path, block.fd, block.size, tuple(block.offsets), _variables(envelope))
        deadline = None if envelope.timeout is None else time.monotonic() + envelope.timeout
        answer = host.run(call, on_output=on_output, deadline=deadline, canceled=canceled)
    finally:
        block.close()
    if answer.error is not None:
        forget(module)
        _recent.clear()
    if (failure := _failure(answer, envelope)) is not None:
        _fail(answer, failure)
    try:
        return answer, block.results()
    except RuntimeError as exc:
        _fail(answer, exc)


def _variables(envelope: Envelope) -> dict[str, str]:
    """Return the environment that the resources of the step ask for."""
    resources = envelope.meta.get("resources")
    cores = resources.get("cores") if isinstance(resources, Mapping) else None
    return {"OMP_NUM_THREADS": str(cores)} if isinstance(cores, int) else {}


def _fail(answer: NativeAnswer, exc: Exception) -> NoReturn:
    raise CompiledFailure(answer) from exc


def _failure(answer: NativeAnswer, envelope: Envelope) -> Exception | None:
    """Return the error for a call that did not end well."""
    if answer.stopped == "timeout":
        return TimeoutError(f"Timeout: not finished after {envelope.timeout:g} s")
    if answer.stopped == "canceled":
        return RuntimeError("Transformation was canceled")
    if answer.error is not None:
        return RuntimeError(f"the compiled code cannot be loaded: {answer.error}")
    if answer.signal is not None:
        from seamless.transformer.compiled.failure import signal_text

        return RuntimeError(signal_text(answer.signal))
    if answer.exit_status is not None:
        return RuntimeError(
            f"the compiled code has ended its process with exit status {answer.exit_status}, instead of returning"
        )
    if answer.status:
        return RuntimeError(f"Compiled transform returned non-zero status {answer.status}")
    return None


def _described(made: _Made, maxima: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """Return how the code was made: enough to make it again, and to know what has made it."""
    definition, config, module = made
    found: dict[str, Any] = {
        "configuration": config,
        "target": definition.sources[0].compilation.target,
        "commands": module.report["commands"],
        "compilers": module.report["compilers"],
        "module_sha256": module.report["sha256"],
        "build_seconds": module.report["seconds"],
        "built_now": module.built,
        "wait_seconds": round(seconds, 6),
    }
    options = [o for s in definition.sources for o in s.compilation.effective_options()]
    if any("native" in option for option in options):
        from seamless.transformer.compiled.toolchain import processor

        found["processor"] = processor()
    if maxima:
        found["metavars"] = {f"max{name}": size for name, size in maxima.items()}
    return found
