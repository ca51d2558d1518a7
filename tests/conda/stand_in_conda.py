"""Stands in for `conda` where there is none: answers what conda-lock asks it, with the solver of py-rattler.

`--version`; `create --dry-run --json` (solve); `create --file EXPLICIT --prefix P` (install).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import Any

import rattler


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="conda")
    made.add_argument("--version", action="version", version="conda 25.1.0")
    create = made.add_subparsers(dest="command", required=True).add_parser("create")
    for flag in ("--dry-run", "--json", "--override-channels", "--yes", "--quiet", "--copy", "--no-deps"):
        create.add_argument(flag, action="store_true")
    for option in ("--prefix", "--file", "--name"):
        create.add_argument(option)
    create.add_argument("--channel", "-c", action="append", default=[])
    create.add_argument("specs", nargs="*")
    return made


async def solve(channels: list[str], specs: list[str], platform: str) -> list[Any]:
    real = [channel for channel in channels if channel.startswith("file://")]
    virtual = [
        rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version("2.28"), rattler.BuildString("0"))
        for name in ("__unix", "__linux", "__glibc")
    ]
    return await rattler.solve(sources=real, specs=specs, platforms=[platform, "noarch"], virtual_packages=virtual)


def answer(records: list[Any]) -> dict[str, Any]:
    fetch, link = [], []
    for record in records:
        if record.name.normalized.startswith("__"):
            continue
        base, _, file_name = str(record.url).rpartition("/")
        common = {
            "name": record.name.normalized,
            "version": str(record.version),
            "build_string": str(record.build),
            "build_number": record.build_number,
            "channel": base,
        }
        fetch.append(
            common
            | {
                "url": str(record.url),
                "fn": file_name,
                "depends": [str(each) for each in record.depends],
                "constrains": [],
                "md5": record.md5.hex(),
                "sha256": record.sha256.hex(),
                "subdir": record.subdir,
                "timestamp": 0,
            }
        )
        link.append(
            common
            | {
                "base_url": base.rpartition("/")[0],
                "dist_name": file_name.removesuffix(".conda"),
                "platform": record.subdir,
            }
        )
    return {"success": True, "actions": {"FETCH": fetch, "LINK": link}}


async def install(explicit: str, prefix: str) -> None:
    with open(explicit, encoding="utf-8") as stream:
        urls = [line.partition("#")[0].strip() for line in stream if line.startswith(("http", "file"))]
    channel = urls[0].rsplit("/", 2)[0]
    names = [url.rpartition("/")[2].rsplit("-", 2)[0] for url in urls]
    records = await solve([channel], names, "linux-64")
    await rattler.install(records, target_prefix=prefix)


def main() -> None:
    options = parser().parse_args()
    if options.dry_run:
        platform = os.environ.get("CONDA_SUBDIR", "linux-64")
        print(json.dumps(answer(asyncio.run(solve(options.channel, options.specs, platform)))))
    else:
        asyncio.run(install(options.file, options.prefix))
    sys.stdout.flush()
    os._exit(0)  # the threads of py-rattler do not always end with the interpreter


if __name__ == "__main__":
    main()
