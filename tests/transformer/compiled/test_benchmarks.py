"""The benchmark of compiled steps can be run, and its kernels agree with numpy. How fast things are is not tested."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.transformer.compiled.conftest import COMPILERS

if TYPE_CHECKING:
    from tests.conftest import RunCli

ROOT = Path(__file__).resolve().parents[3]


def test_a_quick_run_has_a_kernel_in_every_language(run_cli: RunCli, needs: Callable[..., None]) -> None:
    needs("c")
    done = run_cli([sys.executable, "-m", "benchmarks.compiled", "--quick", "--json", "-"], cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    rows = json.loads(done.stdout)
    assert all(row["seconds"] > 0 and row["rival_seconds"] > 0 for row in rows)
    present = {language for language, compiler in COMPILERS.items() if shutil.which(compiler)}
    assert {f"forces of 100 bodies in {language}" for language in present} <= {row["subject"] for row in rows}
