"""The import paths of the reference lead to our modules, without importing them before they are used."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from seamless.util.aliases import Alias

ROOT = Path(__file__).resolve().parents[1]
ALIASES = sorted(path.name for path in (ROOT / "aliases").iterdir() if (path / "__init__.py").is_file())

# Names that code in the wild takes, and where they come from.
NAMES = {
    "seamless_config": ("init set_stage set_workdir ConfigurationError change_stage", "seamless.config"),
    "seamless_config.select": ("select_record get_current check_remote_redundancy", "seamless.config.selection"),
    "seamless_config.extern_clients": (
        "set_remote_clients_from_env collect_remote_clients",
        "seamless.config.extern_clients",
    ),
    "seamless_config.tools": ("configure_hashserver configure_database", "seamless.config.services"),
    "seamless_config.cluster": ("Cluster", "seamless.config.cluster"),
    "seamless_config.config_files": ("select_project", "seamless.config.selection"),
    "hashserver": ("create_app", "seamless.services.hashserver.app"),
    "seamless_config.pure_daskserver": ("ConfigurationError", "seamless.config.errors"),
    "seamless_remote.client": ("Client close_all_clients", "seamless.remote.client"),
    "seamless_remote.buffer_remote": ("activate define_extern_client", "seamless.remote.buffer_remote"),
    "seamless_remote.database_remote": ("activate has_write_server", "seamless.remote.database_remote"),
    "seamless_remote.buffer_client": ("BufferLaunchedClient", "seamless.remote.launched"),
    "seamless_remote.database_client": ("DatabaseClient", "seamless.remote.database_client"),
    "seamless_remote.jobserver_remote": ("activate define_extern_client", "seamless.remote.jobserver_remote"),
    "seamless_remote.daskserver_remote": ("activate", "seamless.remote.daskserver_remote"),
    "seamless_signature": (
        "Signature Parameter ScalarDType StructDType StructField load_signature parse_dtype",
        "seamless.transformer.compiled.schema",
    ),
    "seamless_signature.c_header": ("generate_header", "seamless.transformer.compiled.header"),
    "seamless_transformer.probe_index": ("RecordBucketError", "seamless.transformer.recording.mode"),
    "seamless_transformer.remote_job": ("RemoteJobWritten", "seamless.transformer.remote_job"),
    "remote_http_launcher": ("run connect stop", "seamless.launcher"),
    "seamless_transformer": ("direct delayed Transformation parallel spawn", "seamless.transformer"),
    "seamless_transformer.transformation_class": (
        "Transformation TransformationError transformation_from_dict transformation_from_pretransformation",
        "seamless.transformer",
    ),
    "seamless_transformer.pretransformation": ("PreTransformation", "seamless.transformer"),
    "seamless_transformer.transformation_utils": (
        "tf_get_buffer extract_tf_dunder global_lock pack_deep_structure unpack_deep_structure is_deep_celltype",
        "seamless.transformer.utilities",
    ),
    "seamless_transformer.compiled_transformer": (
        "CompiledTransformer DirectCompiledTransformer CompiledObject",
        "seamless.transformer",
    ),
    "seamless_transformer.util": ("is_spawned in_spawned_main_toplevel", "seamless.transformer.utilities"),
    "seamless_transformer.worker": ("spawn has_spawned shutdown_workers", "seamless.transformer.worker"),
}


def fresh(program: str) -> str:
    """Run a program in a process of its own, with the aliases; returns what it prints."""
    text = f"import sys; sys.path[:0] = {[str(ROOT / 'aliases')]!r}\n{program}"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("alias", NAMES)
def test_a_name_is_that_of_our_module(alias: str) -> None:
    names, module = NAMES[alias]
    for name in names.split():
        assert getattr(importlib.import_module(alias), name) is getattr(importlib.import_module(module), name)


def test_names_that_differ_are_found_as_well() -> None:
    from remote_http_launcher import main
    from seamless_config.cluster import get_cluster, get_local_cluster
    from seamless_config.config_files import load_config_files
    from seamless_remote.buffer_client import BufferClient
    from seamless_remote.client import ClientRestartRequiredError
    from seamless_transformer.transformation_class import running_in_jupyter

    from seamless.remote.buffer_client import HashserverClient
    from seamless.remote.errors import TransportError

    assert BufferClient is HashserverClient
    assert ClientRestartRequiredError is TransportError
    assert main.__module__ == "seamless.cli.launcher"
    assert load_config_files.__module__ == "seamless.config.api"
    assert get_cluster.__module__ == "seamless.config.selection"
    assert get_local_cluster() is None
    assert running_in_jupyter() is False


def test_what_is_set_through_an_alias_is_set_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    import seamless_remote.buffer_remote as alias

    from seamless.remote import buffer_remote

    with monkeypatch.context() as patch:
        patch.setattr(alias, "DISABLED", True)
        assert buffer_remote.DISABLED is True
    assert buffer_remote.DISABLED is False
    with mock.patch.object(alias, "DISABLED", True):
        assert buffer_remote.DISABLED is True
    assert buffer_remote.DISABLED is alias.DISABLED is False


def test_a_submodule_of_an_alias_does_not_replace_one_of_ours() -> None:
    import seamless_transformer.worker

    import seamless.transformer.worker

    assert seamless.transformer.worker is not seamless_transformer.worker
    assert isinstance(seamless_transformer.worker, Alias)


@pytest.mark.parametrize("package", ALIASES)
def test_every_module_that_an_alias_names_exists(package: str) -> None:
    text = (ROOT / "aliases" / package / "__init__.py").read_text()
    for source in set(re.findall(r'"(seamless\.[\w.]+)', text)):
        importlib.import_module(source)


def test_an_alias_imports_nothing_before_it_is_used() -> None:
    program = (
        "import seamless_config.select, seamless_transformer.worker, seamless_remote.client\n"
        "print(sorted(name for name in sys.modules if name.startswith('seamless.')))"
    )
    assert fresh(program) == "['seamless.session', 'seamless.util', 'seamless.util.aliases', 'seamless.version']"


def test_all_names_can_be_taken_with_a_star() -> None:
    assert fresh("from seamless_config.select import *; print(select_record.__name__, get_stage())") == (
        "select_record None"
    )


def test_an_unknown_name_is_refused_with_the_places_that_were_searched() -> None:
    import seamless_config.tools

    with pytest.raises(AttributeError, match="'seamless_config.tools' has no attribute 'x'.*seamless.config.services"):
        seamless_config.tools.x  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'x'"):
        exec("from seamless_config.tools import x")


def test_an_unknown_submodule_is_refused() -> None:
    with pytest.raises(ImportError, match="seamless_config.nothing"):
        importlib.import_module("seamless_config.nothing")


def test_the_directory_of_a_program_is_found_through_an_alias(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import seamless_config\nseamless_config.set_workdir()\nprint(seamless_config.get_workdir())\n")
    assert fresh(f"import runpy; runpy.run_path({str(program)!r})") == str(tmp_path)


def test_the_utilities_tell_identity_from_the_rest() -> None:
    from seamless.transformer.utilities import extract_tf_dunder, is_spawned, tf_get_buffer

    transformation = {"__language__": "python", "a": ["int", None, "ab" * 32], "__meta__": {"x": 1}}
    assert tf_get_buffer({**transformation, "__env__": "cd" * 32}) == tf_get_buffer(transformation)
    assert extract_tf_dunder(transformation) == {"__meta__": {"x": 1}}
    assert is_spawned() is False


def test_deep_structures_are_packed_to_checksums_and_back() -> None:
    from seamless.transformer.utilities import pack_deep_structure, unpack_deep_structure

    cells = {"a": 12, "b": [{"c": "text"}, None]}
    packed = pack_deep_structure(cells, "deepcell")
    assert packed["a"] == "a1fb50e6c86fae1679ef3351296fd6713411a08cf8dd1790a4fd05fae8688164"
    assert unpack_deep_structure(packed, "deepcell") == cells
    files = {"x/y.txt": b"hello"}
    packed = pack_deep_structure(files, "deepfolder")
    assert packed == {"x/y.txt": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}
    assert unpack_deep_structure(packed, "deepfolder") == files
    with pytest.raises(TypeError):
        pack_deep_structure([b"hello"], "folder")
    assert pack_deep_structure([1], "mixed") == unpack_deep_structure([1], "mixed") == [1]


def test_a_spawned_process_knows_that_it_is_one(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from seamless.transformer.utilities import is_spawned, in_spawned_main_toplevel\n"
        "TOP = is_spawned(), in_spawned_main_toplevel()\n"
        "def report():\n"
        "    print(TOP, is_spawned(), in_spawned_main_toplevel())\n"
        "if __name__ == '__main__':\n"
        "    import multiprocessing\n"
        "    report()\n"
        "    child = multiprocessing.get_context('spawn').Process(target=report)\n"
        "    sys.stdout.flush(); child.start(); child.join()\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "(False, False) False False\n(True, True) True False\n", done.stderr


def test_every_alias_is_in_the_wheel() -> None:
    (line,) = re.findall(r"^packages = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert re.findall(r'"aliases/(\w+)"', line) == ALIASES


def test_the_lock_that_steps_share_may_be_taken_twice_by_one_thread() -> None:
    from seamless_transformer import global_lock as alias

    from seamless.transformer import global_lock

    assert alias is global_lock
    with global_lock, alias:
        pass


def test_a_pretransformation_takes_no_upstream_dependencies_but_their_results() -> None:
    from seamless.errors import UsageError
    from seamless.transformer import PreTransformation, transformation_from_pretransformation

    with pytest.raises(UsageError, match="upstream_dependencies: a: expected none"):
        transformation_from_pretransformation(
            PreTransformation({"__language__": "bash"}), upstream_dependencies={"a": object()}
        )
