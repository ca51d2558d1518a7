"""What can be told of the software that steps find: Python, packages, variables that change results, compilers."""

from __future__ import annotations

import os
import shutil
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from seamless.transformer.buckets.place import purelib_of

if TYPE_CHECKING:
    from seamless.transformer.buckets.place import Place

# Only these are noted: other variables may hold secrets.
DETERMINANTS = (
    *("LANG", "LANGUAGE", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "TZ"),
    *("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHASHSEED", "PYTHONHOME", "PYTHONNOUSERSITE"),
    *("OMP_NUM_THREADS", "OMP_PROC_BIND", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "BLIS_NUM_THREADS"),
    *("MKL_NUM_THREADS", "MKL_CBWR", "MKL_DYNAMIC", "NUMEXPR_NUM_THREADS", "MALLOC_ARENA_MAX", "CONDA_DEFAULT_ENV"),
)
GPU_DETERMINANTS = (
    *("CUBLAS_WORKSPACE_CONFIG", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_VISIBLE_DEVICES"),
    *("NVIDIA_TF32_OVERRIDE", "NVIDIA_VISIBLE_DEVICES", "TF_CUDNN_DETERMINISTIC", "TF_DETERMINISTIC_OPS"),
)
_COMPILER_VARIABLES = ("CC", "CXX", "FC", "CFLAGS", "CXXFLAGS", "FFLAGS", "LDFLAGS")
_COMPILERS = ("cc", "gcc", "g++", "gfortran", "clang", "rustc", "go")


def environment_facts(place: Place) -> dict[str, Any]:
    """Return the facts of the bucket `environment`. Of an image, what is inside is known by its digest."""
    return {
        "python": _python(place),
        "python_packages": _packages(None if place.is_own else [purelib_of(place.prefix)] if place.prefix else []),
        "conda_env_export": _conda_packages(place.prefix) if place.prefix else None,
        "environment_variables": _variables(DETERMINANTS),
        "gpu_determinism_environment_variables": _variables(GPU_DETERMINANTS),
        "locale": _locale(),
        "timezone": _timezone(),
        "compiler_environment": _variables(_COMPILER_VARIABLES),
        "compiler_inventory": {name: path for name in _COMPILERS if (path := _real(shutil.which(name)))},
        "docker_image": {"name": place.name, "sha256": place.sha256} if place.kind == "docker" else None,
        "validation_views": validation_views(),
    }


def node_environment_facts(node: str, environment: str) -> dict[str, Any]:
    """Return the facts of the bucket `node_env`: what follows from this machine and this software together."""
    return {
        "numpy_show_config": _numpy_configuration(),
        "threadpoolctl": _thread_pools(),
        "mxcsr_state": _mxcsr(),
        "cuda_driver": _driver(),
        "cuda_runtime": os.environ.get("CUDA_VERSION"),
        "visible_gpu_mapping": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "node_checksum": node,
        "environment_checksum": environment,
    }


def environment_violations() -> list[str]:
    """Return the codes of what breaks the contract of a conda environment in this process."""
    from seamless.transformer.recording.context import variable_violations

    prefix = os.environ.get("CONDA_PREFIX")
    views = validation_views()
    if not prefix:
        return []
    return variable_violations(views["ld_library_path_entries"], views["ld_preload_entries"], prefix)


def _python(place: Place) -> dict[str, str] | None:
    if place.prefix is None:
        return None
    if not place.is_own:
        return {"prefix": place.prefix, "executable": os.path.join(place.prefix, "bin", "python")}
    return {
        "version": sys.version,
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "prefix": sys.prefix,
    }


def _variables(names: tuple[str, ...]) -> dict[str, str]:
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


def _packages(path: list[str] | None) -> dict[str, str]:
    """Return the versions of the Python packages by name; `path`: where they are, if not that of this process."""
    from importlib.metadata import distributions

    everywhere = distributions() if path is None else distributions(path=path)
    found = ((found.metadata["Name"], found.version) for found in everywhere)
    return dict(sorted((name, version) for name, version in found if name))


def _conda_packages(prefix: str) -> list[str] | None:
    """Return name-version-build of the packages of a conda environment."""
    try:
        names = os.listdir(os.path.join(prefix, "conda-meta"))
    except OSError:
        return None
    return sorted(name[: -len(".json")] for name in names if name.endswith(".json"))


def _locale() -> str:
    import locale

    return locale.setlocale(locale.LC_ALL)


def _timezone() -> list[str]:
    import time

    return list(time.tzname)


def _real(path: str | None) -> str | None:
    return os.path.realpath(path) if path else None


def validation_views() -> dict[str, Any]:
    """Return what an execution compares itself with."""
    determinants = _variables(DETERMINANTS)
    return {
        "path_entries": (path := os.environ.get("PATH", "").split(os.pathsep)),
        "path_hash": _digest(path),
        "sys_path_entries": (sys_path := [entry for entry in sys.path if entry]),
        "sys_path_hash": _digest(sys_path),
        "determinant_env": determinants,
        "determinant_env_hash": _digest([f"{name}={value}" for name, value in determinants.items()]),
        "ld_library_path_entries": _entries("LD_LIBRARY_PATH"),
        "ld_preload_entries": _entries("LD_PRELOAD"),
    }


def _digest(lines: list[str]) -> str:
    return sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _entries(variable: str) -> list[str]:
    return [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]


def _mxcsr() -> str | None:
    """Return the control register of floating-point arithmetic (rounding, flush to zero) of an x86-64 processor."""
    import ctypes

    if os.uname().machine != "x86_64":
        return None
    environment = ctypes.create_string_buffer(64)  # fenv_t of glibc has 32 bytes, the register at 28
    try:
        status = ctypes.CDLL("libm.so.6").fegetenv(environment)
    except (OSError, AttributeError):
        return None
    flags = 0x3F  # which exceptions have occurred: history, not state
    return None if status else f"{int.from_bytes(environment.raw[28:32], 'little') & ~flags:#06x}"


def _driver() -> str | None:
    """Return the first line that the driver of NVIDIA tells of itself."""
    try:
        with open("/proc/driver/nvidia/version", encoding="utf-8", errors="replace") as f:
            return f.readline().strip()
    except OSError:
        return None


def _numpy_configuration() -> Any:
    try:
        import numpy
    except ImportError:
        return None
    show: Any = getattr(numpy, "show_config", None)
    try:
        return show(mode="dicts") if show is not None else None
    except TypeError:  # a version that can only print
        return None


def _thread_pools() -> Any:
    from importlib import import_module

    try:
        return import_module("threadpoolctl").threadpool_info()
    except ImportError:
        return None
