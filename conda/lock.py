#!/usr/bin/env python3
"""Make and check the conda lock files of this directory: `lock.py check`, `lock.py subset SOLVE...`, `lock.py solve`.

An environment is a directory with `environment.yml` (what we ask for, by hand) and `conda-lock.yml` (what that became).
Needs conda-lock >= 4 and py-rattler; only `solve` needs the network, and a conda.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

HERE = Path(__file__).resolve().parent
PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64")
# What a machine must offer at least; the packages ask for it under names of virtual packages.
VIRTUAL = {
    "linux-64": {"__unix": "0", "__linux": "5.10", "__glibc": "2.28", "__archspec": "1"},
    "linux-aarch64": {"__unix": "0", "__linux": "5.10", "__glibc": "2.28", "__archspec": "1"},
    "osx-64": {"__unix": "0", "__osx": "12.0", "__archspec": "1"},
    "osx-arm64": {"__unix": "0", "__osx": "12.0", "__archspec": "1"},
}
HEADER = """\
# The packages of {name}, one solve per platform. Made by `conda/lock.py`; do not edit.
# Install: conda-lock install --name {name} conda/{name}/conda-lock.yml
"""

Package = dict[str, Any]


class Problem(Exception):
    """What is wrong with a lock file; the text names it."""


# --- files ----------------------------------------------------------------------------------------


def environments() -> list[str]:
    """Return the names of the environments."""
    return sorted(path.parent.name for path in HERE.glob("*/environment.yml"))


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with open(path, encoding="utf-8") as stream:
        return yaml.load(stream, Loader=loader)


def requested(name: str) -> list[str]:
    """Return the direct dependencies of an environment."""
    found: list[str] = read_yaml(HERE / name / "environment.yml")["dependencies"]
    return found


def locked(name: str) -> list[Package]:
    """Return the entries of a lock file, of all platforms."""
    path = HERE / name / "conda-lock.yml"
    if not path.exists():
        raise Problem(f"{path} is missing; make it with: conda/lock.py solve {name}")
    entries: list[Package] = read_yaml(path)["package"]
    return entries


def write_lock(name: str, packages: Sequence[Package]) -> None:
    """Write the lock file of an environment, with the input hashes that conda-lock itself computes."""
    content = {
        "version": 1,
        "metadata": {
            "content_hash": dict(sorted(content_hashes(name).items())),
            "channels": [{"url": "conda-forge", "used_env_vars": []}, {"url": "nodefaults", "used_env_vars": []}],
            "platforms": list(PLATFORMS),
            "sources": ["environment.yml"],
        },
        "package": sorted(packages, key=lambda entry: (entry["name"], entry["platform"])),
    }
    text = yaml.dump(content, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120)
    (HERE / name / "conda-lock.yml").write_text(HEADER.format(name=name) + text, encoding="utf-8")


def content_hashes(name: str) -> dict[str, str]:
    """Return the hash of what is asked for, per platform, as `conda-lock lock --check-input-hash` compares it."""
    from conda_lock.content_hash import compute_content_hashes
    from conda_lock.lookup import DEFAULT_MAPPING_URL
    from conda_lock.src_parser import make_lock_spec
    from conda_lock.virtual_package import default_virtual_package_repodata

    spec = make_lock_spec(src_files=[HERE / name / "environment.yml"], mapping_url=DEFAULT_MAPPING_URL)
    hashes = compute_content_hashes(spec, default_virtual_package_repodata())
    return {str(platform): str(value) for platform, value in hashes.items()}


# --- solving --------------------------------------------------------------------------------------


def solve(packages: Iterable[Package], specs: Sequence[str], platform: str) -> list[Package]:
    """Return the solution of `specs` on one platform, if nothing but `packages` existed. Raises Problem."""
    by_url = {entry["url"]: entry for entry in packages if entry["platform"] == platform}
    with tempfile.TemporaryDirectory() as directory:
        write_repodata(Path(directory), by_url.values(), platform)
        records = asyncio.run(_solve(Path(directory), specs, platform))
    by_file = {url.rpartition("/")[2]: entry for url, entry in by_url.items()}
    return [by_file[name] for name in records]


async def _solve(directory: Path, specs: Sequence[str], platform: str) -> list[str]:
    import rattler
    from rattler.exceptions import SolverError

    virtual = [
        rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), rattler.BuildString("0"))
        for name, version in VIRTUAL[platform].items()
    ]
    try:
        records = await rattler.solve(
            sources=[rattler.Channel(directory.as_uri())],
            specs=list(specs),
            platforms=cast(Any, [platform, "noarch"]),
            virtual_packages=virtual,
        )
    except SolverError as exc:
        raise Problem(f"no solution for {platform}: {exc}") from exc
    return [str(record.file_name) for record in records]


def write_repodata(directory: Path, entries: Iterable[Package], platform: str) -> None:
    """Write the index of a channel that has just these packages."""
    indexes: dict[str, dict[str, Any]] = {
        subdir: {"info": {"subdir": subdir}, "packages": {}, "packages.conda": {}} for subdir in (platform, "noarch")
    }
    for entry in entries:
        *_, subdir, file_name = entry["url"].split("/")
        stem, kind = (
            (file_name.removesuffix(".conda"), "packages.conda")
            if file_name.endswith(".conda")
            else (file_name.removesuffix(".tar.bz2"), "packages")
        )
        build = stem.rpartition("-")[2]
        number = build.rpartition("_")[2]
        indexes[subdir][kind][file_name] = {
            "name": entry["name"],
            "version": str(entry["version"]),
            "build": build,
            "build_number": int(number) if number.isdigit() else 0,
            "depends": [" ".join(filter(None, pair)) for pair in entry["dependencies"].items()],
            "subdir": subdir,
            **entry["hash"],
        }
    for subdir, index in indexes.items():
        (directory / subdir).mkdir()
        (directory / subdir / "repodata.json").write_text(json.dumps(index), encoding="utf-8")


# --- commands -------------------------------------------------------------------------------------


def subset(names: Sequence[str], solves: Sequence[Path]) -> None:
    """Write the lock files as parts of public solves: what the solver chooses if only their packages exist."""
    pool: dict[tuple[str, str], Package] = {}
    for path in solves:
        for entry in read_yaml(path)["package"]:
            if entry["manager"] == "conda":
                pool.setdefault((entry["url"], entry["platform"]), entry)
    for name in names:
        chosen: list[Package] = []
        for platform in PLATFORMS:
            found = solve(pool.values(), requested(name), platform)
            chosen += found
            print(f"{name}: {len(found)} packages on {platform}", file=sys.stderr)
        write_lock(name, chosen)


def check(names: Sequence[str]) -> list[str]:
    """Return what is wrong with the lock files, a line each. Asks nobody."""
    return [f"{name}: {problem}" for name in names for problem in _problems(name)]


def _problems(name: str) -> list[str]:
    try:
        entries = locked(name)
    except Problem as exc:
        return [str(exc)]
    problems = _unfit_entries(entries)
    recorded = read_yaml(HERE / name / "conda-lock.yml")["metadata"]["content_hash"]
    if recorded != content_hashes(name):
        problems.append("environment.yml has changed since the lock was made; make it again: conda/lock.py solve")
    for platform in PLATFORMS:
        try:
            again = solve(entries, requested(name), platform)
        except Problem as exc:
            problems.append(str(exc))
            continue
        here = {entry["name"] for entry in entries if entry["platform"] == platform}
        missing, idle = {entry["name"] for entry in again} - here, here - {entry["name"] for entry in again}
        problems += [f"{package} is needed on {platform}, but not locked" for package in sorted(missing)]
        problems += [f"{package} is locked on {platform}, but not needed" for package in sorted(idle)]
    return problems


def _unfit_entries(entries: Sequence[Package]) -> list[str]:
    """Return what is wrong with single entries: twice there, without hashes, from elsewhere."""
    problems: list[str] = []
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        place = f"{entry['name']} on {entry['platform']}"
        if (entry["name"], entry["platform"]) in seen:
            problems.append(f"{place} is locked twice")
        seen.add((entry["name"], entry["platform"]))
        hashes: Mapping[str, str] = entry["hash"]
        if len(hashes.get("sha256", "")) != 64 or len(hashes.get("md5", "")) != 32:
            problems.append(f"{place} lacks a sha256 or an md5")
        if not entry["url"].startswith("https://conda.anaconda.org/conda-forge/"):
            problems.append(f"{place} is not from conda-forge: {entry['url']}")
    return problems


def solve_anew(names: Sequence[str], conda: str | None) -> None:
    """Ask conda-lock, which asks conda-forge, for a new solve."""
    for name in names:
        argv = ["conda-lock", "lock", "--file", "environment.yml", "--lockfile", "conda-lock.yml"]
        argv += [word for platform in PLATFORMS for word in ("--platform", platform)]
        if conda:
            argv += ["--conda", conda]
        subprocess.run(argv, cwd=HERE / name, check=True, timeout=3600)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands; 1 if something is wrong with a lock."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        ("check", "see that the locks are closed, complete, and made from the environment files; needs no network"),
        ("subset", "write the locks as parts of other conda-lock files; needs no network"),
        ("solve", "write the locks from what conda-forge has today; needs conda"),
    ):
        sub = commands.add_parser(command, help=text, description=text, allow_abbrev=False)
        sub.add_argument("--only", metavar="ENV", action="append", choices=environments(), help="only this environment")
        if command == "subset":
            sub.add_argument("solves", metavar="SOLVE", nargs="+", type=Path, help="a conda-lock file to choose from")
        if command == "solve":
            sub.add_argument("--conda", metavar="EXE", help="the conda, mamba or micromamba to use")
    options = parser.parse_args(argv)
    names = options.only or environments()
    try:
        if options.command == "subset":
            subset(names, options.solves)
        elif options.command == "solve":
            solve_anew(names, options.conda)
        problems = check(names)
    except (Problem, OSError, yaml.YAMLError) as exc:
        problems = [str(exc)]
    for problem in problems:
        print(f"lock.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the threads of py-rattler do not always end with the interpreter
