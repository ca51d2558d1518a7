"""Parameters of a wrapper, and what they become: settings of Dask, arguments, the text of job scripts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from seamless.errors import UsageError
from seamless.services.dask.clusters import split_cluster_string
from seamless.services.dask.parameters import Parameters, parse_parameters
from seamless.services.dask.settings import dask_settings, exports, local_arguments, prologue, queue_settings

GIVEN: dict[str, Any] = {
    "cores": 16, "memory": "32000MB", "walltime": "01:00:00", "partition": "all", "project": "acct",
    "job_extra_directives": ["--qos=high"], "maximum_jobs": 4,
}  # fmt: skip


def parse(**changes: Any) -> Parameters:
    system = changes.pop("system", None)
    given = {name: value for name, value in {**GIVEN, **changes}.items() if value is not None}
    return parse_parameters(given, ports=(100, 200), system=system)


def test_the_defaults_are_those_agreed() -> None:
    found = parse()
    assert (found.threads, found.steps, found.processes_per_job, found.lifetime) == (48, 16, 1, 3300.0)
    assert (found.tmpdir, found.unknown_task_duration, found.target_duration) == ("/tmp", "1m", "10m")


@pytest.mark.parametrize(
    ("changes", "threads", "processes"),
    [
        ({"worker_threads": 20}, 20, 1),
        ({"transformation_throttle": 2}, 32, 1),
        ({"exclusive": True, "worker_threads": 9}, 1, 1),
        ({"pure_dask": True}, 2, 16),
        ({"pure_dask": True, "processes": 3}, 2, 3),
    ],
)
def test_threads_and_processes_follow_the_kind_of_queue(changes: dict[str, Any], threads: int, processes: int) -> None:
    found = parse(**changes)
    assert (found.threads, found.processes_per_job) == (threads, processes)


def test_a_single_job_is_not_replaced_and_so_has_no_lifetime() -> None:
    assert parse(maximum_jobs=1).lifetime is None
    # So its walltime may also be too short for workers that are replaced.
    assert parse(maximum_jobs=1, walltime="00:01:00").lifetime is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"memory": None}, "'memory' is required"),
        ({"cores": None}, "'cores' is required when 'exclusive' is not set"),
        ({"cores": 0}, "cores is 0, expected an integer that is at least 1"),
        ({"cores": "4"}, "cores is '4', expected an integer"),
        ({"exclusive": True, "job_cores": 4}, "'job_cores' must not be set in exclusive mode"),
        ({"exclusive": "perhaps"}, "exclusive is 'perhaps', expected true or false"),
        ({"walltime": "00:05:00"}, "the lifetime of workers is 0 s"),
        ({"walltime": "soon"}, "walltime is 'soon'"),
        ({"memory": "much"}, "memory is 'much'"),
        ({"internal-port-range": [9, 1]}, "internal-port-range is [9, 1]"),
        ({"job_script_prologue": "module load x"}, "job_script_prologue is 'module load x', expected a list"),
        ({"extra_dask_config": {"a.b": 1}}, "extra_dask_config"),
        ({"worker_threads": 8}, "worker_threads is 8, expected at least 'cores' (16)"),
        ({"system": "oar"}, "'memory_per_core_property_name' is required on OAR"),
    ],
)
def test_a_mistake_in_the_parameters_is_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(**changes)
    assert text in str(caught.value)


@pytest.mark.parametrize("value", [True, "1", "yes", "on", "True"])
def test_a_flag_may_be_a_word(value: Any) -> None:
    assert parse(interactive=value).interactive


def test_ports_may_be_given_as_text_or_list() -> None:
    found = [parse(**{"internal-port-range": value}).internal_ports for value in ("1:9", [1, 9], None)]
    assert found == [(1, 9), (1, 9), (100, 200)]


def test_the_settings_of_the_user_come_last() -> None:
    settings = dask_settings(parse(extra_dask_config={"distributed.scheduler.target-duration": "5s"}))
    assert settings["distributed.scheduler.target-duration"] == "5s"


def test_a_job_gets_the_settings_in_the_agreed_order() -> None:
    names = [line.split("=")[0].removeprefix("export ") for line in exports(parse(), "slurm")]
    assert names[:3] == [
        "SEAMLESS_DASK_QUEUE_EXCLUSIVE", "SEAMLESS_DASK_RECORD_MODE", "SEAMLESS_WORKER_TRANSFORMATION_THROTTLE",
    ]  # fmt: skip
    assert "export DASK_DISTRIBUTED__WORKER__LIFETIME__DURATION=3300s" in exports(parse(), "slurm")
    assert exports(parse(), "slurm")[-1] == 'export PYTHON_CPU_COUNT="$SLURM_JOB_CPUS_PER_NODE"'


def test_the_output_of_jobs_is_directed_before_the_first_command_of_the_user() -> None:
    lines = prologue(parse(job_script_prologue=["module load x"]), "slurm", log="/l/worker")
    assert lines[:3] == ["#SBATCH --output=/l/worker-%j.out", "#SBATCH --error=/l/worker-%j.err", "module load x"]


def test_oar_jobs_get_the_conda_environment_of_the_wrapper() -> None:
    lines = prologue(parse(), "oar", environment={"CONDA_PREFIX": "/c", "PATH": "/c/bin:/bin"})
    assert lines[:2] == ["export CONDA_PREFIX=/c", "export PATH=/c/bin:/bin"]


def test_the_account_has_the_name_that_each_system_wants() -> None:
    found = [queue_settings(parse(), s, host="h", port=1, dashboard_port=2) for s in ("slurm", "oar")]
    assert [[name for name in ("account", "project") if name in each] for each in found] == [["account"], ["project"]]


@pytest.mark.parametrize(
    ("given", "system", "expected"),
    [
        (["--qos=high"], "slurm", ["--qos=high", "--no-requeue"]),
        (["--requeue"], "slurm", ["--requeue"]),
        (["-t besteffort"], "oar", ["-t besteffort"]),
    ],
)
def test_slurm_does_not_begin_jobs_again_unless_it_is_told_to(
    given: list[str], system: str, expected: list[str]
) -> None:
    found = queue_settings(parse(job_extra_directives=given), system, host="h", port=1, dashboard_port=2)
    assert found["job-extra-directives"] == expected


def test_a_local_cluster_gets_memory_directory_and_resources() -> None:
    found = local_arguments(parse(tmpdir="/scratch"), host="127.0.0.1", port=1, dashboard_port=2)
    assert (found["memory_limit"], found["local_directory"], found["resources"]) == (
        32_000_000_000,
        "/scratch",
        {"S": 16.0},
    )
    assert (found["n_workers"], found["threads_per_worker"], found["worker_port"]) == (4, 48, "100:200")


@pytest.mark.parametrize("text", ["distributed", "distributed::", "a b::C", "os::path.join"])
def test_a_cluster_is_named_by_module_and_symbol(text: str) -> None:
    with pytest.raises(UsageError):
        split_cluster_string(text)


SCRIPT = """
import json, sys
from seamless.services.dask.clusters import Place, apply_settings, _tidy
from seamless.services.dask.parameters import parse_parameters
name, given = sys.argv[1], json.loads(sys.argv[2])
system = "slurm" if name.startswith("SLURM") else "oar"
parameters = parse_parameters(given, ports=(100, 200), system=system)
apply_settings(parameters, system, Place("127.0.0.1", 1, 2, log="/l/worker"))
import dask_jobqueue
kind = _tidy(getattr(dask_jobqueue, name))
print(kind.job_cls("tcp://HOST:1", name="dummy-name").job_script())
"""


def script(name: str, **changes: Any) -> list[str]:
    import json

    pytest.importorskip("dask_jobqueue")
    given = json.dumps({**GIVEN, **changes})
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, name, given]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def test_a_slurm_script_has_the_agreed_header_and_every_option_once() -> None:
    lines = script("SLURMCluster")
    assert [line for line in lines if line.startswith("#SBATCH")] == [
        "#SBATCH -J dask-worker", "#SBATCH -p all", "#SBATCH -A acct", "#SBATCH -n 1", "#SBATCH --cpus-per-task=16",
        "#SBATCH --mem=30G", "#SBATCH -t 01:00:00", "#SBATCH --qos=high", "#SBATCH --no-requeue",
        "#SBATCH --output=/l/worker-%j.out", "#SBATCH --error=/l/worker-%j.err",
    ]  # fmt: skip
    worker = [line for line in lines if line][-1]
    assert worker.partition(" tcp://HOST:1 ")[2] == (
        "--memory-limit 29.80GiB --nanny --death-timeout 60 --nthreads 48 "
        '--local-directory "$seamless_scratch" '
        "--worker-port=100:200 --nanny-port=100:200 --name worker-$SLURM_JOB_ID"
    )


def test_an_oar_script_asks_for_cores_of_one_node_and_their_memory() -> None:
    lines = script("OARCluster", cores=8, job_extra_directives=[], memory_per_core_property_name="memcore")
    header = [line for line in lines if line.startswith("#OAR")]
    assert "#OAR -l /nodes=1/core=8,walltime=01:00:00" in header
    assert "#OAR -p memcore>=3815" in [line.replace('"', "").replace("'", "") for line in header]
