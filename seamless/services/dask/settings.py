"""From the parameters of a wrapper to the settings of Dask and of dask-jobqueue: plain values, nothing is set here."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from typing import Any

from seamless.config.units import bytes_of
from seamless.services.dask.parameters import Parameters

_THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_OUTPUT = {
    "slurm": ("#SBATCH --output={log}-%j.out", "#SBATCH --error={log}-%j.err"),
    "oar": ("#OAR --stdout={log}-%jobid%.out", "#OAR --stderr={log}-%jobid%.err"),
}
_SCRATCH = "seamless_scratch"
LOST_WORKER = "2s"  # after which a worker of this machine that has ended may be replaced


def dask_settings(parameters: Parameters) -> dict[str, Any]:
    """Return the settings of Dask itself, by dotted name; those of the user last."""
    settings: dict[str, Any] = {
        "distributed.worker.daemon": False,
        "distributed.scheduler.unknown-task-duration": parameters.unknown_task_duration,
        "distributed.scheduler.target-duration": parameters.target_duration,
        "temporary-directory": parameters.tmpdir,
        "distributed.deploy.lost-worker-timeout": LOST_WORKER,
    }
    if parameters.internal_ports is not None:
        ports = "{}:{}".format(*parameters.internal_ports)
        settings |= {"distributed.worker.port": ports, "distributed.nanny.port": ports}
    if parameters.lifetime is not None:
        settings["distributed.worker.lifetime.stagger"] = parameters.lifetime_stagger
        settings["distributed.worker.lifetime.duration"] = f"{parameters.lifetime:g}s"
    if parameters.resources:
        settings["distributed.worker.resources"] = parameters.resources
    return settings | dict(parameters.extra_dask_config)


def exports(parameters: Parameters, system: str) -> list[str]:
    """Return the lines of a job script that hand the settings to the workers."""
    variables: dict[str, str] = {
        "SEAMLESS_DASK_QUEUE_EXCLUSIVE": str(int(parameters.exclusive)),
        "SEAMLESS_DASK_RECORD_MODE": str(int(parameters.record)),
    }
    if not parameters.pure and not parameters.exclusive and parameters.worker_threads is None:
        variables["SEAMLESS_WORKER_TRANSFORMATION_THROTTLE"] = str(parameters.throttle)
    for name, value in dask_settings(parameters).items():
        if name.startswith(("distributed.worker.", "distributed.scheduler.", "distributed.nanny.")):
            variables[dask_variable(name)] = json.dumps(value) if isinstance(value, Mapping) else str(value)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    if system == "slurm":
        lines.append('export PYTHON_CPU_COUNT="$SLURM_JOB_CPUS_PER_NODE"')
        if parameters.exclusive:
            counts = ", ".join(f'\\"{name}\\": \\"$SLURM_CPUS_ON_NODE\\"' for name in _THREAD_COUNTS)
            lines.append('export SLURM_CPUS_PER_TASK="$SLURM_CPUS_ON_NODE"')
            lines.append(f'export DASK_DISTRIBUTED__NANNY__ENVIRON="{{{counts}}}"')
    return lines


def dask_variable(name: str) -> str:
    """Return the environment variable from which Dask reads a setting.

    >>> dask_variable("distributed.worker.lifetime.duration"), dask_variable("distributed.scheduler.target-duration")
    ('DASK_DISTRIBUTED__WORKER__LIFETIME__DURATION', 'DASK_DISTRIBUTED__SCHEDULER__TARGET_DURATION')
    """
    return "DASK_" + name.replace(".", "__").replace("-", "_").upper()


def prologue(
    parameters: Parameters, system: str, *, log: str | None = None, environment: Mapping[str, str] | None = None
) -> list[str]:
    """Return the lines of a job script before the worker begins. `log`: where the output of jobs goes, unended."""
    environment = os.environ if environment is None else environment
    lines = [line.format(log=log) for line in _OUTPUT.get(system, ())] if log else []
    lines += parameters.job_script_prologue
    if system == "oar" and environment.get("CONDA_PREFIX"):
        lines += [f"export {name}={shlex.quote(environment.get(name, ''))}" for name in ("CONDA_PREFIX", "PATH")]
    return in_images([*lines, *_places(parameters.tmpdir), *exports(parameters, system)], parameters.image)


def _places(tmpdir: str) -> list[str]:
    """Return the lines that lead a worker to where no other user of its machine puts files in its way.

    Python imports from the current directory, Dask from the one of its worker.
    """
    return [
        "cd /",
        f"{_SCRATCH}={shlex.quote(tmpdir)}/seamless-dask-$(id -u)",
        f'mkdir -p -m 700 "${_SCRATCH}"',
        f'[ -d "${_SCRATCH}" ] && [ ! -L "${_SCRATCH}" ] && [ -O "${_SCRATCH}" ] && chmod 700 "${_SCRATCH}" ||'
        f' {_SCRATCH}=$(mktemp -d "${_SCRATCH}-XXXXXXXX") || exit',
    ]


def in_images(lines: list[str], image: Mapping[str, Any] | None) -> list[str]:
    """Return the lines with each variable exported a second time, as the runtime of the image hands it on.

    >>> in_images(["export A=1"], {"path": "worker.sif"})
    ['export A=1', 'export APPTAINERENV_A="$A"']
    """
    if image is None:
        return lines
    prefix = "SINGULARITYENV" if str(image.get("runtime") or "auto") == "singularity" else "APPTAINERENV"
    found = []
    for line in lines:
        found.append(line)
        word, _, rest = line.partition(" ")
        name = rest.partition("=")[0]
        if word == "export" and name.isidentifier():
            found.append(f'export {prefix}_{name}="${name}"')
    return found


def directives(parameters: Parameters, system: str) -> list[str]:
    """Return the lines that are the user's, and one that keeps SLURM from beginning a job again.

    That takes it two minutes; a job that is begun anew is there at once.
    """
    given = list(parameters.job_extra_directives)
    said = any(line.split("=")[0].strip() in ("--requeue", "--no-requeue") for line in given)
    return [*given, "--no-requeue"] if system == "slurm" and not said else given


def worker_words(parameters: Parameters, system: str) -> list[str]:
    """Return the arguments of a Dask worker beside those that dask-jobqueue gives it."""
    words = ["--nthreads", str(parameters.threads), "--local-directory", f'"${_SCRATCH}"']
    if parameters.internal_ports is not None:
        ports = "{}:{}".format(*parameters.internal_ports)
        words += [f"--worker-port={ports}", f"--nanny-port={ports}"]
    if system == "slurm":
        words += ["--name", "worker-$SLURM_JOB_ID"]
    return words


def queue_settings(
    parameters: Parameters,
    system: str,
    *,
    host: str,
    port: int,
    dashboard_port: int,
    log: str | None = None,
    python: str = "python",
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the settings of dask-jobqueue for one batch system, by their names below `jobqueue.<system>`."""
    settings: dict[str, Any] = {
        "processes": parameters.processes_per_job,
        "python": python,
        "cores": parameters.job_cores or parameters.cores or 1,
        "memory": parameters.memory,
        "local-directory": parameters.tmpdir,
        "temp-directory": parameters.tmpdir,
        "job-extra-directives": directives(parameters, system),
        "job-script-prologue": prologue(parameters, system, log=log, environment=environment),
        "worker-extra-args": worker_words(parameters, system),
        "scheduler-options": {"port": port, "dashboard_address": f"{host}:{dashboard_port}", "host": host},
    }
    if parameters.walltime is not None:
        settings["walltime"] = parameters.walltime
    if parameters.partition is not None:
        settings["queue"] = parameters.partition
    if parameters.project is not None:
        settings["account" if system == "slurm" else "project"] = parameters.project
    if system == "oar":
        settings["resource-spec"] = parameters.resource_spec
        settings["memory-per-core-property-name"] = parameters.memory_per_core_property_name
    return settings


def local_arguments(parameters: Parameters, *, host: str, port: int, dashboard_port: int) -> dict[str, Any]:
    """Return the arguments of a LocalCluster."""
    arguments: dict[str, Any] = {
        "n_workers": parameters.maximum_jobs * (parameters.processes_per_job if parameters.pure else 1),
        "threads_per_worker": parameters.threads,
        "host": host,
        "scheduler_port": port,
        "dashboard_address": f"{host}:{dashboard_port}",
        "resources": parameters.resources or None,
        "memory_limit": bytes_of(parameters.memory),
        "local_directory": parameters.tmpdir,
    }
    if parameters.internal_ports is not None:
        ports = "{}:{}".format(*parameters.internal_ports)
        arguments |= {"worker_port": ports, "port": ports}
    if parameters.lifetime is not None:
        arguments |= {"lifetime": f"{parameters.lifetime:g}s", "lifetime_stagger": parameters.lifetime_stagger}
    return arguments


def once_each(command: str) -> str:
    """Return a command of a worker with every option once: the last one wins, as it would anyway.

    >>> once_each("python -m worker tcp://h:1 --name a --nthreads 16 --nanny --nthreads 48 --name b-$ID")
    'python -m worker tcp://h:1 --nanny --nthreads 48 --name b-$ID'
    """
    words = command.split(" ")
    groups: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--") or not groups[0] and len(groups) == 1:
            groups.append([word])
        else:
            groups[-1].append(word)
    last = {group[0].partition("=")[0]: i for i, group in enumerate(groups) if group and group[0].startswith("--")}
    kept = [
        group
        for i, group in enumerate(groups)
        if group and (not group[0].startswith("--") or last[group[0].partition("=")[0]] == i)
    ]
    return " ".join(word for group in kept for word in group)
