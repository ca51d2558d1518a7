"""Makes the Dask cluster that is asked for as MODULE::SYMBOL, with its settings in force. Imports Dask."""

from __future__ import annotations

import importlib
import os
import shutil
import stat
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seamless.errors import MissingDependencyError, UsageError
from seamless.services.dask.batch import Oar, Slurm
from seamless.services.dask.parameters import Parameters
from seamless.services.dask.settings import dask_settings, local_arguments, once_each, queue_settings

if TYPE_CHECKING:
    from collections.abc import Callable

SYSTEMS = {"SLURMCluster": "slurm", "OARCluster": "oar"}


class Place:
    """Where a scheduler listens, and where the output of jobs goes. `security`: of Dask; None for none."""

    def __init__(self, host: str, port: int, dashboard_port: int, *, log: str | None = None, security: Any = None):
        self.host, self.port, self.dashboard_port = host, port, dashboard_port
        self.log, self.security = log, security


def system_of(cluster_string: str) -> str | None:
    """Return the batch system that a cluster string names: slurm, oar, another one in lower case; None for none.

    >>> system_of("dask_jobqueue::OARCluster"), system_of("distributed::LocalCluster")
    ('oar', None)
    """
    module, symbol = split_cluster_string(cluster_string)
    if module.split(".")[0] != "dask_jobqueue":
        return None
    return SYSTEMS.get(symbol, symbol.removesuffix("Cluster").lower())


def split_cluster_string(text: str) -> tuple[str, str]:
    """Return module and symbol. Raises UsageError."""
    module, separator, symbol = text.partition("::")
    if not separator or not symbol.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"{text!r} is not MODULE::SYMBOL, for example distributed::LocalCluster")
    return module, symbol


def apply_settings(parameters: Parameters, system: str | None, place: Place) -> None:
    """Make the settings hold for what Dask and dask-jobqueue do from now on."""
    import dask

    settings = dask_settings(parameters)
    if system is not None:
        import dask_jobqueue  # noqa: F401  its defaults must be there before ours

        section = queue_settings(
            parameters,
            system,
            host=place.host,
            port=place.port,
            dashboard_port=place.dashboard_port,
            log=place.log,
            python=worker_python(parameters.image, parameters.tmpdir),
        )
        settings |= {f"jobqueue.{system}.{name}": value for name, value in section.items()}
    dask.config.set(settings)


def worker_python(image: Mapping[str, Any] | None, tmpdir: str) -> str:
    """Return the words that begin Python in a job: the `python` that is found there, or in its image."""
    if image is None:
        found = shutil.which("python")
        ours = found is not None and os.path.dirname(found) == os.path.dirname(sys.executable)
        return "python" if ours else _quoted(sys.executable)
    runtime = str(image.get("runtime") or "auto")
    words = ["apptainer" if runtime == "auto" else runtime, "exec", "--no-home"]
    for bind in (f"{tmpdir}:{tmpdir}", *map(str, image.get("binds") or ())):
        words += ["--bind", bind]
    environment = {"PYTHONNOUSERSITE": "1", "PYTHONPATH": "", **dict(image.get("env") or {})}
    for name, value in environment.items():
        words += ["--env", f"{name}={value}"]
    words += [str(option) for option in image.get("options") or ()]
    return " ".join(map(_quoted, [*words, os.path.expanduser(str(image["path"])), "python"]))


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)


def make_cluster(cluster_string: str, parameters: Parameters, place: Place) -> Any:
    """Return the cluster, begun. Raises UsageError, MissingDependencyError."""
    symbol = _symbol(cluster_string)
    from distributed.deploy import Cluster, LocalCluster

    if isinstance(symbol, Cluster):
        cluster = symbol
    elif isinstance(symbol, type) and issubclass(symbol, LocalCluster):
        arguments = local_arguments(parameters, host=place.host, port=place.port, dashboard_port=place.dashboard_port)
        arguments["local_directory"] = private_directory(parameters.tmpdir)
        cluster = symbol(**arguments, **({} if place.security is None else {"security": place.security}))
    elif isinstance(symbol, type) and issubclass(symbol, Cluster):
        more = {} if place.security is None or not _is_queue(symbol) else {"security": place.security}
        cluster = (_tidy(symbol) if _is_queue(symbol) else symbol)(**more)
    elif callable(symbol):
        cluster = symbol()
    else:
        cluster = None
    if not isinstance(cluster, Cluster):
        raise UsageError(
            f"{cluster_string} is neither a Dask cluster, nor a class of them, nor a function that makes one"
        )
    if not hasattr(getattr(cluster, "scheduler", None), "tasks"):
        raise UsageError(f"{cluster_string}: the scheduler of this cluster is not in the process that makes it")
    return cluster


def private_directory(parent: str) -> str:
    """Return a directory in `parent` that is of this user alone, for Dask imports from the one of its worker."""
    path = os.path.join(parent, f"seamless-dask-{os.getuid()}")
    os.makedirs(parent, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            import tempfile

            return tempfile.mkdtemp(prefix=f"{path}-")  # somebody else has been here before
    return path


def _symbol(cluster_string: str) -> Any:
    name, symbol = split_cluster_string(cluster_string)
    try:
        module = importlib.import_module(name)
    except ImportError as exc:
        if name.split(".")[0] in ("distributed", "dask_jobqueue"):
            raise MissingDependencyError(name.replace("_", "-"), extra="dask", purpose=cluster_string) from exc
        raise UsageError(f"{cluster_string}: cannot import {name}: {exc}") from exc
    if not hasattr(module, symbol):
        raise UsageError(f"{cluster_string}: {name} has no {symbol}")
    return getattr(module, symbol)


def _is_queue(kind: type) -> bool:
    return hasattr(kind, "job_cls") and hasattr(kind.job_cls, "job_script")


def _tidy(kind: Any) -> Any:
    """Return a class of clusters whose jobs give every option of a worker once, and have names that never come again.

    A job that gets the name of one that is just being ended is taken for that, and never begun.
    """

    class Job(kind.job_cls):  # type: ignore[misc, name-defined]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self._command_template: str = once_each(self._command_template)

    Job.__name__ = Job.__qualname__ = kind.job_cls.__name__

    def new_worker_spec(self: Any) -> dict[Any, Any]:
        spec: dict[Any, Any] = kind.new_worker_spec(self)
        self._i += 1
        return spec

    return type(kind.__name__, (kind,), {"job_cls": Job, "new_worker_spec": new_worker_spec})


def batch_of(system: str | None, parameters: Parameters) -> Any:
    """Return what can be asked about the jobs of a batch system; None for one that we do not know."""
    makers: dict[str, Callable[[], Any]] = {"slurm": lambda: Slurm(parameters.partition), "oar": Oar}
    return makers[system]() if system in makers else None
