"""The tests that the reference's packages bring end as the list of differences says."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".venv-reference-archives"  # kept, and of no interest to git
FILES_AT_A_TIME = 4  # they wait more than they compute


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    """The script that runs the tests."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import run_reference_tests

        return run_reference_tests
    finally:
        sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def archives(runner: ModuleType) -> Path:
    """The directory with the tests of the unpacked source archives; skip if they cannot be had."""
    wanted = runner.read_expected().archives
    versions = [f"{package}=={version}" for package, version in wanted.items()]
    done, unpacked = PLACE / "complete", PLACE / "unpacked"
    PLACE.mkdir(exist_ok=True)
    with open(PLACE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text().split() != versions:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command += ["--no-binary", ",".join(wanted), "--dest", str(PLACE), *versions]
            loaded = subprocess.run(command, capture_output=True, text=True, timeout=600)
            if loaded.returncode:
                pytest.skip(f"the source archives cannot be fetched: {loaded.stderr.strip()[-300:]}")
            for path in PLACE.glob("*.tar.gz"):
                with tarfile.open(path) as archive:
                    members = [member for member in archive if "/tests/" in member.name and member.isreg()]
                    archive.extractall(unpacked, members, filter="data")
            done.write_text("\n".join(versions))
    return unpacked


def test_every_difference_has_its_kind_and_reason(runner: ModuleType) -> None:
    expected = runner.read_expected()
    assert expected.differences
    for difference in expected.differences:
        assert difference.kind in expected.kinds
        assert difference.reason.endswith(".")
        assert difference.count > 0
        assert all(pattern.partition("/")[0] in expected.totals for pattern in difference.tests)


def test_what_is_not_run_is_named_test_by_test(runner: ModuleType) -> None:
    assert [test for test in runner.read_expected().left_out if "*" in test] == []


@pytest.mark.timeout(1500)
def test_the_tests_of_the_reference_end_as_the_list_says(runner: ModuleType, archives: Path) -> None:
    expected = runner.read_expected()
    assert runner.run_expected(archives, sys.executable, expected, timeout=120, jobs=FILES_AT_A_TIME) == []
