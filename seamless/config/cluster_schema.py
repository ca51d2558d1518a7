"""The declarations of clusters: every field of a cluster, its frontends, services and queues."""

from __future__ import annotations

import re

from seamless.config import names
from seamless.config.containers import Field, Fields, ListOf, MapOf
from seamless.config.declarations import Bool, Int, Number, OneOf, Str, duration, memory, walltime
from seamless.config.images import IMAGE, IMAGE_DEFAULTS, IMAGES

SERVICES = ("hashserver", "database", "jobserver", "daskserver")
STORAGE_DIRECTORY = {"hashserver": "bufferdir", "database": "database_dir"}
LOCAL_CLUSTER = "local_cluster"  # not a cluster: it names the one that is this machine

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def host_complaint(text: str) -> str | None:
    """Return what is wrong with a host name or IP address, or None."""
    if ":" in text:
        import ipaddress

        try:
            ipaddress.ip_address(text)
        except ValueError:
            return f"{text!r} is not a host name or IP address"
        return None
    labels = (text[:-1] if text.endswith(".") else text).split(".")
    if len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels):
        return None
    return f"{text!r} is not a host name or IP address (a user name belongs in ~/.ssh/config)"


def _ssh_complaint(text: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._@-]*", text) or host_complaint(text) is None:
        return None
    return f"{text!r} is not a host name or an alias of ~/.ssh/config"


def _directory_complaint(text: str) -> str | None:
    rest = re.sub(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", "", text)
    if not text.startswith(("/", "~/", "${")) and text != "~":
        return f"expected an absolute path or one that begins with '~/', found {text!r}"
    if "$" in rest:
        return f"write variables as ${{NAME}}, found {text!r}"
    odd = re.sub(r"[A-Za-z0-9@_./~+-]", "", rest)
    if odd:
        return f"a directory must not contain {odd[0]!r}, found {text!r}"
    if ".." in text.split("/"):
        return f"a directory must not contain '..', found {text!r}"
    return None


def _word_complaint(text: str) -> str | None:
    if not text.strip():
        return "it must not be blank"
    return f"it must not begin with '-', found {text!r}" if text.startswith("-") else None


_HOST = Str("a host name or IP address", host_complaint)
_WORD = Str("a string", _word_complaint)
_PORT = Int(1, 65535)
_DIRECTORY = Str("a directory", _directory_complaint, pattern=r"^(/|~(/|$)|\$\{)")
_INTERFACE = "the name or address of the interface that it listens on"


def _service(own: dict[str, Field], *, conda: bool = True, required: bool = False) -> dict[str, Field]:
    fields = dict(own)
    if conda:
        fields["conda"] = Field(_WORD, "the conda environment, by name or prefix; not together with 'image'")
    return {
        **fields,
        "image": Field(IMAGE, "the container image; not together with 'conda'"),
        "network_interface": Field(_HOST, _INTERFACE, required=required),
        "port_start": Field(_PORT, "the first port that it may use", required=required),
        "port_end": Field(_PORT, "the last port that it may use", required=required),
        "insecure": Field(Bool(), "true: no token is asked for (for clients that know none)"),
    }


_DASKSERVER = _service(
    {
        "submit": Field(OneOf("host", "bind", "proxy"), "with an image: how the scheduler submits jobs"),
        "submit_binds": Field(ListOf(Str()), "with 'submit: bind': the files of the batch system's clients"),
    },
    conda=False,
    required=True,
)

SERVICE_FIELDS = {
    "hashserver": Fields(_service({"bufferdir": Field(_DIRECTORY, "where the buffers are", required=True)})),
    "database": Fields(_service({"database_dir": Field(_DIRECTORY, "where the databases are", required=True)})),
    "jobserver": Fields(_service({}, required=True)),
    "daskserver": Fields(
        _DASKSERVER,
        hints={
            "pure_dask": "; for a daskserver without storage write '- persistent: false' in seamless.yaml",
            "conda": "; the conda environment of a daskserver is that of the queue",
        },
    ),
}

FRONTEND = Fields(
    {
        "hostname": Field(_HOST, "the host; absent: this machine, without SSH"),
        "ssh_hostname": Field(
            Str("a host name or SSH alias", _ssh_complaint), "the name for SSH; default: the hostname"
        ),
        "hashserver": Field(SERVICE_FIELDS["hashserver"], "the service that keeps buffers"),
        "database": Field(SERVICE_FIELDS["database"], "the service that keeps results"),
        "jobserver": Field(SERVICE_FIELDS["jobserver"], "the service that executes transformations itself"),
        "daskserver": Field(SERVICE_FIELDS["daskserver"], "the service that executes transformations on Dask"),
    }
)

QUEUE = Fields(
    {
        "TEMPLATE": Field(_WORD, "a queue defined before: its fields are taken over"),
        "conda": Field(_WORD, "the conda environment of the workers; not together with 'image'"),
        "image": Field(IMAGE, "the container image of the workers; not together with 'conda'"),
        "walltime": Field(walltime(), "the longest time of a batch job, HH:MM:SS, D-HH:MM:SS or such as 10m"),
        "memory": Field(memory(), "the memory of a batch job"),
        "cores": Field(Int(1), "the cores of a batch job"),
        "job_cores": Field(Int(1), "the cores asked of the batch system, if not 'cores'"),
        "exclusive": Field(Bool(), "whole nodes"),
        "maximum_jobs": Field(Int(1), "how many batch jobs at a time"),
        "unknown_task_duration": Field(duration(), "how long a transformation is thought to take at first"),
        "target_duration": Field(duration(), "how soon the waiting transformations should be done"),
        "lifetime_stagger": Field(duration(), "the spread of the workers' lifetimes"),
        "lifetime": Field(duration(), "how long a worker lives; default: walltime - lifetime_stagger - 1m"),
        "interactive": Field(Bool(), "keep a worker at all times"),
        "tmpdir": Field(_WORD, "the directory for temporary files of the workers"),
        "partition": Field(_WORD, "the partition or queue of the batch system"),
        "project": Field(_WORD, "the account that is billed"),
        "worker_threads": Field(Int(1), "threads of a Dask worker"),
        "processes": Field(Int(1), "Dask workers of a batch job"),
        "dask_resources": Field(MapOf(Number()), "abstract resources of a Dask worker"),
        "extra_dask_config": Field(MapOf(Str("a string (quote numbers)")), "further settings of Dask"),
        "job_extra_directives": Field(ListOf(Str()), "further directives of the batch system"),
        "job_script_prologue": Field(ListOf(Str(lines=True)), "shell lines at the start of the job script"),
    },
    hyphens=True,
)

CLUSTER = Fields(
    {
        "type": Field(OneOf("local", "slurm", "oar"), "where transformations go; needed for a daskserver"),
        "tunnel": Field(Bool(), "reach the services through an SSH tunnel"),
        "workers": Field(Int(1), "worker processes of a jobserver, or of a pool on this machine"),
        "memory_per_core_property_name": Field(_WORD, "the OAR property that holds the memory of a core"),
        "frontends": Field(ListOf(FRONTEND, minimum=1), "the hosts and their services", required=True),
        "queues": Field(
            MapOf(
                QUEUE,
                key=lambda text: names.plain_complaint("queue", text),
                expected="a mapping from names to queues",
            ),
            "the queues of a daskserver",
        ),
        "default_queue": Field(Str(), "the queue that is used if none is chosen"),
        "images": Field(IMAGES, "container images, by name"),
        "image_defaults": Field(IMAGE_DEFAULTS, "settings of every image of this cluster"),
        "require_pinned_images": Field(Bool(), "refuse images without 'sha256'"),
    }
)
