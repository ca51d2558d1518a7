"""What the configuration loads: nothing of clients, services or YAML before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.config.conftest import WS, Project

FOREIGN = {"aiohttp", "distributed", "dask", "asyncio", "numpy", "multiprocessing", "dataclasses", "inspect", "difflib"}


def loaded(statement: str, project: Project) -> set[str]:
    program = f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project.root, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_resolving_loads_no_clients_and_no_transformations(project: Project) -> None:
    project.clusters(WS)
    project.write("- project: p\n- cluster: ws\n- execution: process\n")
    modules = loaded("import seamless.config\nseamless.config.resolve()", project)
    assert "yaml" in modules
    assert modules & FOREIGN == set()
    assert not [name for name in modules if name.startswith(("seamless.remote", "seamless.transformer"))]


@pytest.mark.parametrize("statement", ["import seamless.config", "import seamless.config; seamless.config.resolve()"])
def test_without_files_no_yaml_is_loaded(statement: str, project: Project) -> None:
    assert "yaml" not in loaded(f"import warnings; warnings.simplefilter('ignore')\n{statement}", project)


def test_every_public_name_is_there() -> None:
    import seamless.config as config

    assert all(getattr(config, name) is not None for name in config.__all__)
    assert set(config.__all__) <= set(dir(config))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = config.nothing
