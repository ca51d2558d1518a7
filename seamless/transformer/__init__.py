"""Steps and their transformations. Everything is loaded on first use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.errors import SeamlessStreamTransformationError, TransformationError
    from seamless.transformer.compiled.parts import CompiledObject
    from seamless.transformer.compiled.transformer import CompiledTransformer, DirectCompiledTransformer
    from seamless.transformer.environment import Environment
    from seamless.transformer.from_dict import transformation_from_dict
    from seamless.transformer.parallelism import (
        TransformationIterableBase,
        TransformationList,
        parallel,
        parallel_async,
    )
    from seamless.transformer.pretransformation import PreTransformation, transformation_from_pretransformation
    from seamless.transformer.recompute import Comparison
    from seamless.transformer.transformation import Transformation
    from seamless.transformer.transformer import DirectTransformer, Transformer, delayed, direct
    from seamless.transformer.utilities import global_lock
    from seamless.transformer.worker import has_spawned, shutdown_workers, spawn

_LAZY = {
    "CompiledObject": "seamless.transformer.compiled.parts",
    "CompiledTransformer": "seamless.transformer.compiled.transformer",
    "DirectCompiledTransformer": "seamless.transformer.compiled.transformer",
    "DirectTransformer": "seamless.transformer.transformer",
    "Environment": "seamless.transformer.environment",
    "Comparison": "seamless.transformer.recompute",
    "PreTransformation": "seamless.transformer.pretransformation",
    "SeamlessStreamTransformationError": "seamless.errors",
    "Transformation": "seamless.transformer.transformation",
    "TransformationError": "seamless.errors",
    "TransformationIterableBase": "seamless.transformer.parallelism",
    "TransformationList": "seamless.transformer.parallelism",
    "Transformer": "seamless.transformer.transformer",
    "delayed": "seamless.transformer.transformer",
    "direct": "seamless.transformer.transformer",
    "global_lock": "seamless.transformer.utilities",
    "has_spawned": "seamless.transformer.worker",
    "parallel": "seamless.transformer.parallelism",
    "parallel_async": "seamless.transformer.parallelism",
    "shutdown_workers": "seamless.transformer.worker",
    "spawn": "seamless.transformer.worker",
    "transformation_from_dict": "seamless.transformer.from_dict",
    "transformation_from_pretransformation": "seamless.transformer.pretransformation",
}

__all__ = [
    "Comparison",
    "CompiledObject",
    "CompiledTransformer",
    "DirectCompiledTransformer",
    "DirectTransformer",
    "Environment",
    "PreTransformation",
    "SeamlessStreamTransformationError",
    "Transformation",
    "TransformationError",
    "TransformationIterableBase",
    "TransformationList",
    "Transformer",
    "delayed",
    "direct",
    "global_lock",
    "has_spawned",
    "parallel",
    "parallel_async",
    "shutdown_workers",
    "spawn",
    "transformation_from_dict",
    "transformation_from_pretransformation",
]


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'seamless.transformer' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
