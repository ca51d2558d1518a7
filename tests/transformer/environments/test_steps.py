"""Steps in environments of their own: the same step, executed by other programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seamless.errors import TransformationError
from seamless.transformer import CompiledTransformer, delayed


def where(x):
    import os
    import sys

    print("in the step")
    return [x, sys.prefix, os.environ.get("CONDA_DEFAULT_ENV"), os.environ.get("TOOLS_HOME"), os.getcwd()]


def bash(code: str, **environment: Any) -> Any:
    step = delayed(code, "bash")
    step.celltypes.result = "text"
    return with_environment(step, **environment)


def with_environment(step: Any, **environment: Any) -> Any:
    for name, value in environment.items():
        getattr(step.environment, f"set_{name}")(value)
    return step


def failure(tf: Any) -> str:
    assert tf.compute() is None
    text: str = tf.exception
    return text


# --- conda --------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["name", "prefix"])
def test_a_python_step_runs_in_the_python_of_its_environment(given: str, prefix: Path) -> None:
    name = "tools" if given == "name" else str(prefix)
    tf = with_environment(delayed(where), conda_env=name)(7)
    x, found, active, home, directory = tf.run()
    assert (x, os.path.realpath(found), active, home) == (7, os.path.realpath(prefix), name, f"{prefix}/share")
    assert directory != os.getcwd() and not os.path.exists(directory)
    assert "in the step" in tf.logs


def test_the_environment_leaves_the_identity_alone(prefix: Path) -> None:
    step = delayed(where)
    plain = step(7).construct()
    assert with_environment(step, conda_env="tools")(7).construct() == plain


def test_a_failure_there_shows_the_line_of_the_step(prefix: Path) -> None:
    def wrong(x):
        return x / 0

    text = failure(with_environment(delayed(wrong), conda_env="tools")(1))
    assert "ZeroDivisionError" in text and "return x / 0" in text and "seamless/" not in text


def test_a_process_that_dies_there_is_told_from_a_failure(prefix: Path) -> None:
    def gone(x):
        import os

        os._exit(3)

    text = failure(with_environment(delayed(gone), conda_env="tools")(1))
    assert "conda environment 'tools'" in text and "status 3" in text


def test_the_time_limit_holds_there(prefix: Path) -> None:
    def endless(x):
        while True:
            pass

    step = with_environment(delayed(endless), conda_env="tools")
    step.timeout = 1
    assert "not finished after 1 s" in failure(step(1))


def test_nested_steps_are_executed_there(prefix: Path) -> None:
    def outer(x):
        from seamless.transformer import direct

        return direct(lambda y: y + 1)(x)

    assert with_environment(delayed(outer), conda_env="tools")(1).run() == 2


def test_modules_and_deep_results_travel(prefix: Path) -> None:
    step = delayed(lambda x: {"a": helper.double(x), "b": b"raw"})  # noqa: F821
    step.modules.helper = {"code": "def double(x):\n    return 2 * x", "language": "python", "type": "interpreted"}
    step.celltypes.result = "deepcell"
    result = with_environment(step, conda_env="tools")(4).run()
    assert sorted(result) == ["a", "b"]


def test_a_command_runs_in_its_environment(prefix: Path) -> None:
    step = bash('echo "$(frobnicate) $CONDA_DEFAULT_ENV $TOOLS_HOME" > RESULT', conda_env="tools")
    assert step().run() == f"frobnicated tools {prefix}/share"


def test_a_workers_python_step_runs_in_its_environment(prefix: Path) -> None:
    from seamless.transformer import shutdown_workers, spawn

    spawn(1)
    try:
        assert with_environment(delayed(where), conda_env="tools")(8).run()[2] == "tools"
    finally:
        shutdown_workers()


def test_an_environment_that_is_not_there_is_named(prefix: Path) -> None:
    text = failure(with_environment(delayed(where), conda_env=str(prefix.parent / "other"))(1))
    assert f"the conda environment '{prefix.parent}/other'" in text and "Create it" in text


def test_the_environment_of_this_process_needs_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_PREFIX", sys.prefix)
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "mine")
    assert with_environment(delayed(lambda x: __import__("os").getpid()), conda_env="mine")(1).run() == os.getpid()


# --- definitions --------------------------------------------------------------------------------

DEFINITION = (
    "name: tools\ndependencies:\n  - frobnicate>=1.10\n  - conda-forge::python=3.11\n  - pip:\n    - whatever\n"
)


def test_a_definition_names_the_environment_and_is_checked(prefix: Path) -> None:
    assert bash("frobnicate > RESULT", conda=DEFINITION)().run() == "frobnicated"


def test_an_environment_that_is_not_as_defined_is_refused_with_all_reasons(prefix: Path) -> None:
    wanted = "name: tools\ndependencies: [frobnicate>=2, samtools]\n"
    text = failure(bash("echo > RESULT", conda=wanted)())
    assert "frobnicate is 1.17.2, not >=2; samtools is not installed" in text and "conda env update" in text


# --- commands -----------------------------------------------------------------------------------


def test_a_required_version_is_that_of_the_environment(prefix: Path) -> None:
    step = bash("frobnicate > RESULT", conda_env="tools", which=["frobnicate>=1.17,<2"])
    assert step().run() == "frobnicated"
    text = failure(bash("frobnicate 2 > RESULT", conda_env="tools", which=["frobnicate>=1.18", "no-such-command"])())
    assert "frobnicate is 1.17.2, not >=1.18" in text and "'no-such-command'" in text


def test_a_command_is_required_of_a_python_step_too() -> None:
    assert "'no-such-command'" in failure(with_environment(delayed(where), which=["no-such-command"])(1))
    assert with_environment(delayed(lambda x: x + 1), which=["sh"])(1).run() == 2


# --- compiled -----------------------------------------------------------------------------------

SCHEMA = "inputs:\n  - name: x\n    dtype: int32\noutputs:\n  - name: y\n    dtype: int32\n"
CODE = '#include "transformer.h"\nint transform(int32_t x, int32_t *y) { *y = x + FROM_ENVIRONMENT; return 0; }\n'
INSIDE = '#include <stdlib.h>\nint inside(void) { return getenv("APPTAINER_NAME") ? 40 : 0; }\n'


def test_compiled_code_is_compiled_with_the_compiler_of_its_environment(
    prefix: Path, require: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require("gcc", "the compiler gcc is missing")
    pytest.importorskip("cffi")
    monkeypatch.setenv("SEAMLESS_BUILD_CACHE", str(tmp_path / "build"))
    compiler = prefix / "bin" / "gcc"
    compiler.write_text('#!/bin/sh\nexec /usr/bin/gcc -DFROM_ENVIRONMENT=40 "$@"\n')
    compiler.chmod(0o755)
    step = CompiledTransformer("c")
    step.schema, step.code = SCHEMA, CODE
    assert with_environment(step, conda_env="tools")(x=2).run() == 42


# --- container images ---------------------------------------------------------------------------


@pytest.mark.apptainer
def test_a_command_runs_in_the_image_with_nothing_of_this_machine(
    image: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET", "of the caller")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = 'echo "$APPTAINER_NAME [${SECRET:-}] $x $(cat x)" > RESULT; '
    code += "touch /usr/x 2>/dev/null || echo read-only >> RESULT"
    step = bash(code, docker=image)
    step.celltypes.x = "int"
    assert step(x=3).run() == "image [] 3 3\nread-only"


@pytest.mark.apptainer
def test_a_step_without_network_has_only_the_loopback_interface(image: dict[str, Any]) -> None:
    step = bash("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' > RESULT", docker={**image, "network": False})
    assert step().run() == "lo"


@pytest.mark.apptainer
def test_a_python_step_runs_in_the_image(image: dict[str, Any]) -> None:
    step = with_environment(delayed(lambda x: [x, __import__("os").environ["APPTAINER_NAME"]]), docker=image)
    assert step(5).run() == [5, "image"]


@pytest.mark.apptainer
def test_compiled_code_is_built_and_run_in_the_image(image: dict[str, Any], require: Any) -> None:
    numpy, cffi = pytest.importorskip("numpy"), pytest.importorskip("cffi")
    packages = f"/usr/local/lib/python3.{sys.version_info[1]}/dist-packages"
    places = {Path(module.__file__).parents[1] for module in (numpy, cffi)}
    version = subprocess.run(["/usr/bin/python3", "-V"], capture_output=True, text=True, check=True).stdout
    same = version.split()[1].split(".")[:2] == ["3", str(sys.version_info[1])]
    if not same or not Path(packages).is_dir() or len(places) != 1:
        pytest.skip("the packages of this Python cannot be used by /usr/bin/python3, which has another version")
    require("gcc", "the compiler gcc is missing")
    step = CompiledTransformer("c")
    step.schema, step.code = SCHEMA, INSIDE + CODE.replace("FROM_ENVIRONMENT", "inside()")
    with_packages = {**image, "binds": [*image["binds"], f"{places.pop()}:{packages}:ro"]}
    assert with_environment(step, docker=with_packages)(x=2).run() == 42


@pytest.mark.apptainer
def test_a_package_that_is_missing_in_the_image_is_named_with_the_image(image: dict[str, Any]) -> None:
    if subprocess.run(["/usr/bin/python3", "-c", "import cffi"], capture_output=True, check=False).returncode == 0:
        pytest.skip("the Python of this system has cffi")
    step = CompiledTransformer("c")
    step.schema, step.code = SCHEMA, CODE
    text = failure(with_environment(step, docker=image)(x=2))
    assert (
        f"needs the package 'cffi': pip install 'seamless[compiled]' (in the container image '{image['name']}')" in text
    )


@pytest.mark.apptainer
def test_the_commands_in_the_image_are_those_that_count(image: dict[str, Any]) -> None:
    assert bash("echo > RESULT", docker=image, which=["sort>=8", "python3>=3"])().run() == ""
    text = failure(bash("echo 2 > RESULT", docker=image, which=["apptainer", "sort<2"])())
    assert "the command 'apptainer', which the container image" in text and "sort is " in text


@pytest.mark.apptainer
def test_an_image_that_is_not_the_pinned_one_is_refused(image: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "x.sif"
    file.write_bytes(b"no image")
    text = failure(bash("echo > RESULT", docker={"name": str(file), "sha256": "0" * 64})())
    assert "is not the pinned one" in text


@pytest.mark.apptainer
def test_an_image_that_cannot_be_run_fails_the_step_with_its_reason(image: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "x.sif"
    file.write_bytes(b"no image")
    assert "x.sif" in failure(with_environment(delayed(where), docker={"name": str(file)})(1))


def test_an_image_that_is_not_there_is_named() -> None:
    text = failure(bash("echo > RESULT", docker={"name": "debian:12"})())
    assert "'debian:12'" in text and "docker://debian:12" in text


def test_image_and_conda_environment_together_are_refused() -> None:
    text = failure(bash("echo > RESULT", docker={"name": "i"}, conda_env="e")())
    assert "choose one" in text


def test_a_key_of_an_image_that_is_not_known_is_refused() -> None:
    with pytest.raises(TransformationError, match="'privileged', which is not known"):
        bash("echo > RESULT", docker={"name": "i", "privileged": True})().run()
