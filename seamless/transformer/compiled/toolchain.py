"""Which compilers there are and what they are: path and version, which are part of the key of every build."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from seamless.transformer.compiled.definition import BuildError, Source

_VERSION_SECONDS = 30.0
_C_COMPILERS = ("gcc", "cc", "clang")

# What compilers read beside their command line.
_VARIABLES = (
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH"),
    *("CGO_CFLAGS", "CGO_LDFLAGS", "GOFLAGS", "GOARCH", "GOOS", "RUSTUP_TOOLCHAIN", "LD_RUN_PATH"),
)


@dataclass(frozen=True)
class Compiler:
    """A compiler: its name, the file that is executed, and what it says about itself."""

    name: str
    path: str
    version: str

    @property
    def first_line(self) -> str:
        """The line of the version that names it."""
        return self.version.strip().split("\n")[0]


def compiler_of(source: Source) -> Compiler:
    """Return the compiler of a source. Raises BuildError if there is none."""
    return find_compiler(source.compilation.compiler, f"language '{source.language}' ('{source.name}')")


def c_compiler() -> Compiler:
    """Return the compiler of the entry function. Raises BuildError if there is none."""
    import shutil

    for name in _C_COMPILERS:
        if shutil.which(name) is not None:
            return find_compiler(name, "a compiled step")
    return find_compiler("gcc", "a compiled step, in whatever language,")


def find_compiler(name: str, purpose: str) -> Compiler:
    """Return a compiler by its name or path. Raises BuildError that says where it was looked for."""
    import shutil

    path = shutil.which(name)
    if path is None:
        looked = name if os.sep in name else f"PATH: {os.environ.get('PATH', os.defpath)}"
        raise BuildError(
            f"FileNotFoundError: {purpose} needs the compiler '{name}', which was not found (looked in {looked}). "
            f"Install it, or name another one (compilation.compiler)\n"
        )
    stat = os.stat(path)
    return Compiler(name, path, _version(path, stat.st_mtime_ns, stat.st_size, os.environ.get("RUSTUP_TOOLCHAIN")))


@functools.lru_cache(maxsize=64)
def _version(path: str, mtime: int, size: int, toolchain: str | None) -> str:
    """Return what a compiler says about itself; asked once, until its file changes."""
    import time

    from seamless.transformer.bash.process import run_process

    words = [path, "version"] if os.path.basename(path) == "go" else [path, "--version"]
    done = run_process(words, cwd="/", deadline=time.monotonic() + _VERSION_SECONDS)
    if done.exit_status:
        raise BuildError(
            f"RuntimeError: the compiler '{path}' does not work: {' '.join(words)} ended with status "
            f"{done.exit_status}\n{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}"
        )
    return done.stdout.decode(errors="replace")


def surroundings() -> tuple[str | None, ...]:
    """Return what decides which compilers are found, and what they read beside their command line."""
    return tuple(os.environ.get(name) for name in ("PATH", *_VARIABLES))


def machine(options: list[str]) -> dict[str, str]:
    """Return what else a binary depends on: system, C library, variables, the processor if options ask for it."""
    found = {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}
    name = os.uname()
    found["system"], found["machine"] = name.sysname, name.machine
    if "CS_GNU_LIBC_VERSION" in os.confstr_names:
        found["libc"] = os.confstr("CS_GNU_LIBC_VERSION") or ""
    if any("native" in option for option in options):
        found["processor"] = processor()
    return found


@functools.lru_cache(maxsize=1)
def processor() -> str:
    """Return model and features of the processor."""
    wanted = ("model name", "flags", "CPU implementer", "CPU part", "Features")
    lines: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                key, _, value = line.partition(":")
                if key.strip() in wanted:
                    lines.setdefault(key.strip(), value.strip())
    except OSError:
        return os.uname().machine
    return "; ".join(f"{key}: {value}" for key, value in lines.items())
