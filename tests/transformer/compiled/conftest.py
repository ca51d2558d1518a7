"""Compiled steps of the tests: made from a few words, with a directory of built modules that a test has for itself."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

COMPILERS = {"c": "gcc", "cpp": "g++", "fortran": "gfortran", "rust": "rustc", "go": "go"}


@pytest.fixture(autouse=True)
def toolchains(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compilers that are managed in a home directory are found, although the test has another home.

    That of Go keeps its own library there, built once; anew for each test would take many seconds.
    """
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    for variable, directory in (("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")):
        if variable not in os.environ and (home / directory).is_dir():
            monkeypatch.setenv(variable, str(home / directory))
    if "GOCACHE" not in os.environ:
        monkeypatch.setenv("GOCACHE", str(home / ".cache" / "go-build"))
    yield


@pytest.fixture
def needs() -> Callable[..., None]:
    """Return needs(language, ...): skip the test where a compiler is absent."""

    def check(*languages: str) -> None:
        for name in {COMPILERS.get(language, "gcc") for language in ("c", *languages)}:
            if shutil.which(name) is None:
                pytest.skip(f"the compiler {name} is missing")

    return check


@pytest.fixture
def step(needs: Callable[..., None]) -> Callable[..., Any]:
    """Return step(language, schema, code): a CompiledTransformer."""

    def make(language: str, schema: str, code: str, direct: bool = False) -> Any:
        from seamless.transformer import CompiledTransformer, DirectCompiledTransformer

        needs(language)
        made = (DirectCompiledTransformer if direct else CompiledTransformer)(language)
        made.schema, made.code = schema, code
        return made

    return make
