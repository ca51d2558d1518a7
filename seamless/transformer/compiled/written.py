"""A compiled step as Python text that makes it again: for a step that is a global of another one."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from seamless.errors import UsageError
from seamless.transformer.compiled.transformer import CompiledTransformer, DirectCompiledTransformer
from seamless.transformer.languages.configuration import CompilationConfig
from seamless.transformer.languages.registry import is_native, native_language


def construction(name: str, step: CompiledTransformer) -> tuple[list[str], set[str]]:
    """Return (lines that make `step` under a name, names of seamless.transformer that they use), without its `args`.

    Compilation and maxima are written as far as they are no defaults: there is no envelope that would carry them.
    """
    if step.schema is None or step.code is None:
        raise UsageError(f"global '{name}' is a compiled step without {'code' if step.schema else 'a schema'}: set it")
    kind = "DirectCompiledTransformer" if isinstance(step, DirectCompiledTransformer) else "CompiledTransformer"
    lines, defaults = _languages(step)
    lines += [f"{name} = {kind}({step.language!r})", f"{name}.schema = {step.schema!r}", f"{name}.code = {step.code!r}"]
    lines += _compilation(name, step.compilation, defaults[step.language])
    for i, item in enumerate(step.objects):
        lines.append(f"{name}.objects.append(CompiledObject(language={item.language!r}))")
        lines.append(f"{name}.objects[{i}].code = {item.code!r}")
        lines += _compilation(f"{name}.objects[{i}]", item.compilation, defaults[item.language])
    lines += [f"{name}.metavars.{key} = {value}" for key, value in sorted(step.metavars.to_dict().items())]
    if step.celltypes["result"] != "mixed":
        lines.append(f"{name}.celltypes.result = {step.celltypes['result']!r}")
    return lines, {kind, "CompiledObject"} if step.objects else {kind}


def _languages(step: CompiledTransformer) -> tuple[list[str], dict[str, CompilationConfig]]:
    """Return (lines that define the languages that are not built in, the compilation that each language then has)."""
    lines: list[str] = []
    defaults = {item.language: item.compilation for item in step.objects} | {step.language: step.compilation}
    for language, config in sorted(defaults.items()):
        if is_native(language):
            defaults[language] = native_language(language).compilation
            continue
        if not lines:
            lines.append("from seamless.transformer.languages import define_compiled_language")
        lines.append(f"define_compiled_language({language!r}, {config.stored()!r})")
    return lines, defaults


def _compilation(target: str, config: CompilationConfig, default: CompilationConfig) -> list[str]:
    """Return the lines for what differs from the language. Raises as `CompilationConfig.check`."""
    config.check()
    lines = []
    for item in fields(CompilationConfig):
        value: Any = getattr(config, item.name)
        if value != getattr(default, item.name):
            lines.append(f"{target}.compilation.{item.name} = {value!r}")
    return lines
