"""The table of compiled languages and the configuration of their compilers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seamless.transformer.languages import (
    CompilationConfig,
    define_compiled_language,
    get_language,
    is_compiled_language,
    native,
    registry,
)


@pytest.mark.parametrize("name", ["c", "cpp", "fortran", "rust", "go"])
def test_a_native_language_is_there_and_asks_for_nothing_that_changes_digits(name: str) -> None:
    config = get_language(name).compilation
    assert is_compiled_language(name)
    assert config.target == "profile"
    assert not {"-ffast-math", "-march=native", "-Ctarget-cpu=native"} & set(config.effective_options())


def test_c_keeps_the_order_of_operations() -> None:
    assert get_language("c").compilation.effective_options()[:2] == ["-O3", "-ffp-contract=off"]


def test_a_file_beside_the_others_is_all_that_a_language_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "native").mkdir()
    definition = 'COMPILATION = {"compiler": "mine", "mode": "object"}\nEXPORT = "export it"\n'
    (tmp_path / "native" / "mine.py").write_text(definition)
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "registry.py"))
    monkeypatch.setattr(native, "__path__", [*native.__path__, str(tmp_path / "native")])
    registry.is_native.cache_clear()
    try:
        assert (get_language("mine").compilation.compiler, get_language("mine").export) == ("mine", "export it")
        for name in ("__init__", "../registry", "", "other"):
            assert not is_compiled_language(name)
    finally:
        registry.is_native.cache_clear()
        registry._languages.pop("mine", None)
        sys.modules.pop(f"{native.__name__}.mine", None)


def test_an_unknown_language_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="Unknown compiled language: 'zig'"):
        get_language("zig")
    assert not is_compiled_language("zig")


def test_a_language_can_be_defined() -> None:
    define_compiled_language("test-language", {"compiler": "gcc", "mode": "object"})
    config = get_language("test-language").compilation
    assert (config.output_flag, config.include_flag, config.options, config.extension) == ("-o", "-I", [], "")


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ({"compiler": "x"}, TypeError),
        ({"compiler": "x", "mode": "object", "speed": 3}, TypeError),
        ({"compiler": "x", "mode": "jit"}, ValueError),
        ({"compiler": "x", "mode": "object", "options": "-O3"}, TypeError),
    ],
)
def test_a_wrong_definition_is_refused(definition: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        define_compiled_language("test-wrong", definition)


def test_the_target_chooses_the_options() -> None:
    config = CompilationConfig(
        compiler="x",
        mode="object",
        options=["-a"],
        debug_options=["-d"],
        profile_options=["-p"],
        release_options=["-r"],
        fast_options=["-f"],
    )
    found = {}
    for target in ("profile", "release", "debug", "fast"):
        config.target = target
        found[target] = config.effective_options()
    assert found == {"profile": ["-a", "-p"], "release": ["-a", "-r"], "debug": ["-d"], "fast": ["-a", "-f"]}


def test_the_stored_form_has_our_own_fields_only_where_they_say_something() -> None:
    config = get_language("c").compilation.copy()
    own = {"target", "link_options", "fast_options"}
    assert own.isdisjoint(config.stored())
    config.target, config.link_options = "fast", ["-lz"]
    assert own <= set(config.stored())


def test_an_unknown_field_or_target_is_refused() -> None:
    config = get_language("c").compilation.copy()
    with pytest.raises(AttributeError, match="a compilation has no 'speed'"):
        config.speed = ["-O0"]  # type: ignore[attr-defined]
    config.target = "fastest"
    with pytest.raises(ValueError, match="Unsupported compile target: 'fastest'"):
        config.stored()
