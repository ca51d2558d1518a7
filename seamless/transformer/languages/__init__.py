"""The compiled languages: which there are, and how their sources become objects. Compiles nothing itself."""

from __future__ import annotations

from seamless.transformer.languages.registry import (
    CompilationConfig,
    LanguageDefinition,
    define_compiled_language,
    get_language,
    is_compiled_language,
)

__all__ = [
    "CompilationConfig",
    "LanguageDefinition",
    "define_compiled_language",
    "get_language",
    "is_compiled_language",
]
