"""The compilation context, and the contract of compiled code in conda environments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.transformer import CompiledTransformer
from seamless.transformer.recording.context import (
    compilation_context,
    link_violations,
    links_of,
    variable_violations,
)
from seamless.transformer.recording.elf import dynamic_section

RecordOf = Callable[[Any], dict[str, Any]]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    prefix = tmp_path / "prefix"
    (prefix / "lib").mkdir(parents=True)
    return prefix


def compiled(tmp_path: Path, *options: str) -> str:
    """Return a shared object that uses libm."""
    from seamless.transformer.bash.process import run_process

    (tmp_path / "a.c").write_text("double cos(double); double f(double x) { return cos(x); }\n")
    words = ["gcc", "-shared", "-fPIC", "-Wl,--no-as-needed", "-o", "a.so", "a.c", "-lm", *options]
    assert run_process(words, cwd=str(tmp_path)).exit_status == 0
    return str(tmp_path / "a.so")


@pytest.mark.parametrize("tags", ["--disable-new-dtags", "--enable-new-dtags"])
def test_what_a_shared_object_names_is_read(tags: str, tmp_path: Path, require: Any) -> None:
    require("gcc", "the compiler gcc is missing")
    section = dynamic_section(compiled(tmp_path, f"-Wl,{tags}", "-Wl,-rpath,/first:$ORIGIN/second"))
    assert "libm.so.6" in section.needed
    given = section.rpath if tags == "--disable-new-dtags" else section.runpath
    assert given == ["/first", "$ORIGIN/second"] and not (section.rpath and section.runpath)


def test_libraries_are_found_where_the_loader_finds_them(tmp_path: Path, require: Any) -> None:
    require("gcc", "the compiler gcc is missing")
    require("ldd", "the command ldd is missing")
    links = links_of(compiled(tmp_path, "-Wl,-rpath,$ORIGIN/lib"))
    assert links["libraries"]["libm.so.6"].startswith("/")
    assert links["runpath"] + links["rpath"] == [f"{tmp_path}/lib"]


@pytest.mark.parametrize(
    "content",
    [b"", b"no object", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 80],
    ids=["empty", "text", "short", "wrong"],
)
def test_what_is_no_object_names_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert dynamic_section(str(tmp_path / "x")) == ([], [], [])


@pytest.mark.parametrize(
    ("links", "codes"),
    [
        ({"libraries": {"libc.so.6": "/lib/libc.so.6"}}, []),
        ({"libraries": {"libfoo.so.1": "/usr/lib/libfoo.so.1"}}, ["native_link_outside_conda_prefix"]),
        ({"libraries": {"libfoo.so.1": None}}, []),
        ({"rpath": ["/usr/lib"]}, ["rpath_outside_conda_prefix"]),
        ({"runpath": ["/usr/lib"]}, ["runpath_outside_conda_prefix"]),
    ],
)
def test_a_link_to_the_outside_has_its_code(links: dict[str, Any], codes: list[str], prefix: Path) -> None:
    assert link_violations(links, str(prefix)) == codes


def test_a_link_to_the_inside_is_in_order(prefix: Path) -> None:
    inside = str(prefix / "lib")
    links = {"libraries": {"libfoo.so": f"{inside}/libfoo.so"}, "rpath": [inside], "runpath": [inside]}
    assert link_violations(links, str(prefix)) == []
    assert variable_violations([inside], [f"{inside}/libx.so"], str(prefix)) == []


def test_variables_that_lead_outside_have_their_codes(prefix: Path) -> None:
    assert variable_violations(["/usr/lib"], [], str(prefix)) == ["ld_library_path_outside_conda_prefix"]
    assert variable_violations([], ["/usr/lib/x.so"], str(prefix)) == ["ld_preload_outside_conda_prefix"]


def test_the_context_does_not_depend_on_how_long_a_build_took() -> None:
    facts = {"target": "profile", "module_sha256": "0" * 64}
    first = compilation_context("c", {**facts, "build_seconds": 1.0, "built_now": True})
    assert first == compilation_context("c", {**facts, "build_seconds": 2.0, "built_now": False})
    assert first != compilation_context("cpp", facts)


@pytest.fixture
def doubled(require: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a step in C."""
    require("gcc", "the compiler gcc is missing")
    pytest.importorskip("cffi")
    monkeypatch.setenv("SEAMLESS_BUILD_CACHE", str(tmp_path / "build"))
    step = CompiledTransformer("c")
    step.schema = "inputs:\n  - name: x\n    dtype: int32\noutputs:\n  - name: y\n    dtype: int32\n"
    step.code = '#include "transformer.h"\nint transform(int32_t x, int32_t *y) { *y = 2 * x; return 0; }\n'
    return step


def test_a_compiled_step_has_a_context_and_a_time_of_compilation(
    doubled: Any, probed: Any, record_of: RecordOf
) -> None:
    record = record_of(doubled(x=1))
    again = record_of(doubled(x=2))
    assert record["execution_envelope"]["language_kind"] == "compiled"
    assert record["compilation_time_seconds"] > 0 and again["compilation_time_seconds"] == 0
    assert record["compilation_context"] == again["compilation_context"]
    context = Checksum(record["compilation_context"]).resolve("plain")
    assert context["language"] == "c" and context["compilers"] and context["links"]["libraries"]
    assert (record["contract_violations"], record["job_contract_violations"]) == ([], [])


def test_a_compiled_step_in_a_conda_environment_is_held_to_its_contract(
    doubled: Any, store: Any, record_of: RecordOf, prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seamless.config import select_record
    from seamless.transformer import delayed
    from seamless.transformer.buckets.probe import refresh

    monkeypatch.setenv("CONDA_PREFIX", str(prefix))
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{prefix}/lib:/usr/lib/x86_64-linux-gnu")
    refresh(store.buffers, store.results, None)
    select_record(True)
    code = "ld_library_path_outside_conda_prefix"
    record = record_of(doubled(x=1))
    assert record["bucket_contract_violations"] == record["job_contract_violations"] == [code]
    assert record["contract_violations"] == [code]
    assert record_of(delayed(lambda: 1)())["contract_violations"] == []


@pytest.mark.parametrize(("tags", "kind"), [("--enable-new-dtags", "runpath"), ("--disable-new-dtags", "rpath")])
def test_a_module_that_is_linked_to_the_outside_breaks_the_contract_of_its_environment(
    tags: str, kind: str, doubled: Any, store: Any, record_of: RecordOf, prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seamless.config import select_record
    from seamless.transformer.buckets.probe import refresh

    monkeypatch.setenv("CONDA_PREFIX", str(prefix))
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    refresh(store.buffers, store.results, None)
    select_record(True)
    doubled.compilation.link_options = [f"-Wl,{tags},-rpath,/opt/elsewhere", "-Wl,--no-as-needed", "-lgomp"]
    record = record_of(doubled(x=1))
    assert record["bucket_contract_violations"] == []
    codes = ["native_link_outside_conda_prefix", f"{kind}_outside_conda_prefix"]
    assert record["job_contract_violations"] == record["contract_violations"] == codes
