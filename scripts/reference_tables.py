"""What the reference says that no code can tell: the meaning of variables and celltypes, and which names it describes.

Tests compare these tables with the code.
"""

from __future__ import annotations

from typing import NamedTuple


class Variable(NamedTuple):
    """An environment variable; `default` and `meaning` are Markdown, `section` is that of the page."""

    name: str
    default: str
    meaning: str
    section: str = "General"


def own_variables() -> list[Variable]:
    """Return the variables that begin with SEAMLESS_."""
    return [*_general(), *_configuration(), *_clients(), *_servers(), *_steps_on_servers()]


def _general() -> list[Variable]:
    from seamless.cli.common import format_size
    from seamless.cli.running import limits
    from seamless.cli.transfer import limits as upload_limits

    return [
        Variable(
            "SEAMLESS_BUFFER_CACHE_HARD_CAP",
            "50 GiB, at most half of the memory",
            "How many bytes buffers may take in memory, whatever it costs to get them back. A number, or one with "
            "`K`, `M`, `G`, `T` (powers of 1024).",
        ),
        Variable(
            "SEAMLESS_BUFFER_CACHE_SOFT_CAP",
            "5 GiB, at most a quarter of the memory",
            "From how many bytes on buffers that are cheap to get back leave the memory. As above.",
        ),
        Variable(
            "SEAMLESS_BUILD_CACHE",
            "`$XDG_CACHE_HOME/seamless/compiled`, else `~/.cache/seamless/compiled`",
            "Where compiled modules are kept. A directory that nobody else can write to.",
        ),
        Variable(
            "SEAMLESS_CACHE",
            "command line: `$XDG_CACHE_HOME/seamless`, else `~/.cache/seamless`; Python: nothing is kept",
            "The cache directory. `~` is expanded; a blank value counts as none. While it is set no configuration "
            "file is read.",
        ),
        Variable(
            "SEAMLESS_MODE_SKIP",
            "set by `seamless-mode-bind.sh`",
            "Names of commands that seamless mode runs as they are, besides the built-in ones, separated by blanks; "
            "`-NAME` takes one out.",
        ),
        Variable(
            "SEAMLESS_RECORD_VALIDATION_SNAPSHOT_LIMIT",
            "1",
            "How many validation snapshots full records get for the same buckets, compilation context and process.",
        ),
        Variable(
            "SEAMLESS_QUEUE_FILE",
            "`.seamless-queue` in the current directory",
            "The file of the queue, for `seamless-run --qsubmit`, `seamless-queue` and `seamless-queue-finish`.",
        ),
        Variable(
            "SEAMLESS_QUEUE_SERVER",
            "set by `seamless-queue`",
            "By this a new server of a queue finds the commands that a killed one has left running.",
        ),
        Variable(
            "SEAMLESS_COMPUTE_THREADS",
            "number of processors + 4, at most 32",
            "How many steps of a Python program may be executed at once.",
        ),
        Variable(
            "SEAMLESS_DEBUG_SHUTDOWN", "off", "Any value: `seamless.close()` tells on standard error what it does."
        ),
        Variable(
            "SEAMLESS_MAX_DOWNLOAD_FILES",
            f"{limits._MAX_FILES}",
            "`seamless-run`, `seamless-download`: above so many files for one target they ask before they write them.",
        ),
        Variable(
            "SEAMLESS_MAX_DOWNLOAD_SIZE",
            format_size(limits._MAX_SIZE).replace(".00", ""),
            "The same for their size. Units `kB`, `MB`, `GB` are powers of 1000; `k`, `M`, `G`, `KiB`, ... of 1024.",
        ),
        Variable(
            "SEAMLESS_MAX_UPLOAD_FILES",
            f"{upload_limits.MAX_FILES}",
            "`seamless-upload`: above so many files for a store on another machine it asks before it stores them.",
        ),
        Variable(
            "SEAMLESS_MAX_UPLOAD_SIZE",
            format_size(upload_limits.MAX_SIZE).replace(".00", ""),
            "The same for their size. Units as above.",
        ),
        Variable(
            "SEAMLESS_TRACEBACK", "off", "Any value but `0`: commands show the traceback of an error (`--debug`)."
        ),
    ]


def _configuration() -> list[Variable]:
    rows = [
        (
            "SEAMLESS_NO_LAUNCH",
            "off",
            "`1`: no service is started or contacted. The first use of one is an error. "
            "Off: empty, `0`, `false`, `no`.",
        ),
        (
            "SEAMLESS_REMOTE_CLIENTS",
            "none",
            "Stores that a program is handed by the one that started it, as JSON: "
            '`{"buffer": [...], "database": [...]}`. Then no project file is read. Ignored if `SEAMLESS_CACHE` is set.',
        ),
        (
            "SEAMLESS_SITE_CONFIG",
            "`/etc/seamless`",
            "The directory with the cluster files of the site; empty: there are none.",
        ),
        (
            "SEAMLESS_STAGE",
            "none",
            "`STAGE[:SUBSTAGE]`: the stage for `seamless-config`, `seamless-init`, `seamless-service-*`.",
        ),
        (
            "SEAMLESS_SSH",
            "`ssh`",
            "The program for logins at other machines, a command line; called as OpenSSH is.",
        ),
        ("SEAMLESS_WORKDIR", "the current directory", "The directory of the project files, for the same commands."),
    ]
    return [Variable(*row, section="Configuration") for row in rows]


def _clients() -> list[Variable]:
    from seamless.remote import settings

    off = "`none`, `off`, `0`: no limit."
    rows = [
        (
            "SEAMLESS_ALLOW_REMOTE_CLIENTS_IN_WORKER",
            "off",
            "`1`: a worker process may have clients of its own. Without it, that is an error.",
        ),
        ("SEAMLESS_CLIENT_DEBUG", "off", "`1`: clients log each request and answer, without the token."),
        (
            "SEAMLESS_DATABASE_MAX_INFLIGHT",
            f"{settings.DATABASE_MAX_INFLIGHT}",
            "How many requests of a process may be under way at one database at a time; `0`: any number.",
        ),
        (
            "SEAMLESS_ON_MISMATCH",
            "`warn`",
            "What to do about a running service that was started with other settings than configured: `warn` and "
            "use it, `restart` it, or `error`. `init(on_mismatch=...)` is stronger.",
        ),
        ("SEAMLESS_DEBUG_REMOTE_DB", "off", "`1`: as `SEAMLESS_CLIENT_DEBUG`, for databases only."),
        (
            "SEAMLESS_REMOTE_CONNECT_TIMEOUT",
            f"{settings.CONNECT_TIMEOUT:g}",
            f"Seconds to wait for a connection. {off}",
        ),
        (
            "SEAMLESS_REMOTE_HEALTHCHECK_TIMEOUT",
            f"{settings.HEALTHCHECK_TIMEOUT:g}",
            f"Seconds to wait for the answer of a health check. {off}",
        ),
        (
            "SEAMLESS_REMOTE_READ_TIMEOUT",
            f"{settings.READ_TIMEOUT:g}",
            f"Seconds to wait for the next bytes of an answer. {off}",
        ),
        ("SEAMLESS_REMOTE_TOTAL_TIMEOUT", "no limit", "Seconds for a whole request with its answer."),
    ]
    return [Variable(*row, section="Clients of services") for row in rows]


def _servers() -> list[Variable]:
    meaning = (
        "`hashserver`, `seamless-database`: the token that clients must send, if there is neither `--token-file` nor "
        "`--status-file`. See [Security](../security.md)."
    )
    return [Variable("SEAMLESS_TOKEN", "none", meaning, "Servers")]


def _steps_on_servers() -> list[Variable]:
    rows = [
        ("SEAMLESS_ALLOW_CHILD_SPAWN", "set by a Dask worker", "It may have worker processes of its own."),
        ("SEAMLESS_DASK_QUEUE_EXCLUSIVE", "set in a job", "`exclusive` of the queue, 0 or 1."),
        ("SEAMLESS_DASK_RECORD_MODE", "set in a job", "`record` of the configuration, 0 or 1."),
        ("SEAMLESS_DASK_SCHEDULER", "set by a Dask worker", "The address of its scheduler."),
        ("SEAMLESS_DASK_WORKERS", "set in a job", "How many steps a Dask worker executes at once."),
        ("SEAMLESS_DASK_WORKER_PID", "set in a step", "The process of its Dask worker."),
        (
            "SEAMLESS_SUBMIT_SOCKET",
            "set in an image",
            "Where batch commands of a service in an image are handed over, to be executed outside.",
        ),
        (
            "SEAMLESS_WORKER_TRANSFORMATION_THROTTLE",
            "set in a job",
            "Threads of a Dask worker for each of its steps, unless `worker_threads` is set.",
        ),
    ]
    return [Variable(*row, section="Steps on servers") for row in rows]


def other_variables() -> list[Variable]:
    """Return the variables that are read and do not begin with SEAMLESS_."""
    return [*_launching(), *_application(), *_of_others()]


def _launching() -> list[Variable]:
    rows = [
        (
            "REMOTE_HTTP_LAUNCHER_DIR",
            "`~/.remote-http-launcher`",
            "Where states, logs and tokens of launched services are. A directory of yours, with mode 0700.",
        ),
        (
            "SSH_ORIGINAL_COMMAND",
            "set by sshd",
            "`rhl-guard`: what the client asks for. See [Security](../security.md).",
        ),
    ]
    return [Variable(*row, section="Servers") for row in rows]


def _application() -> list[Variable]:
    from seamless.services.hashserver.settings import LOCK_TIMEOUT

    application = "For the hashserver as an application of another server (`seamless.services.hashserver.app:app`): "
    rows = [
        ("HASHSERVER_DIRECTORY", "needed", f"{application}the directory of the buffers."),
        (
            "HASHSERVER_EXTRA_DIRS",
            "none",
            "Directories in which buffers are also looked for, never written, separated by `;`. Also read by the "
            "command `hashserver`, without `--extra-dirs`.",
        ),
        ("HASHSERVER_HASH_ALGORITHM", "`sha-256`", "As `HASHSERVER_DIRECTORY`: `sha-256` or `sha3-256`."),
        ("HASHSERVER_LAYOUT", "as it is found, else `prefix`", "As `HASHSERVER_DIRECTORY`: `prefix` or `flat`."),
        (
            "HASHSERVER_LOCK_TIMEOUT",
            f"{LOCK_TIMEOUT:g}",
            "As `HASHSERVER_DIRECTORY`: seconds after which lock files of other writers are ignored.",
        ),
        ("HASHSERVER_WRITABLE", "off", "As `HASHSERVER_DIRECTORY`: `1` or `true` lets clients store buffers."),
    ]
    return [Variable(*row, section="Servers") for row in rows]


def _of_others() -> list[Variable]:
    rows = [
        ("COLUMNS", "width of the terminal", "Width of the help texts, at most 80."),
        ("CONDA_DEFAULT_ENV", "set by conda", "With `CONDA_PREFIX`: in which environment a Python step runs."),
        (
            "CONDA_EXE",
            "`conda`",
            "The conda that is asked for its root if `CONDA_ROOT` is not set; where a service with `conda` is started, "
            "the conda that is looked at first.",
        ),
        (
            "CONDA_ENVS_PATH",
            "none",
            "Directories in which conda environments are looked for by name, separated by `:`.",
        ),
        ("CONDA_PREFIX", "set by conda", "See `CONDA_DEFAULT_ENV`."),
        ("CONDA_ROOT", "`conda info --base`", "Where `etc/profile.d/conda.sh` is, for steps with `--conda`."),
        ("CUDA_VERSION", "set by images with CUDA", "Noted in full records."),
        ("CUDA_VISIBLE_DEVICES", "all", "Noted in full records: which GPUs a step could see."),
        ("HOME", "set at login", "The home directory: `~` in names, the cache directory, cluster files, services."),
        (
            "LOGNAME",
            "set at login",
            "Who asks, in what servers note about conflicts; without it `USER`, then the number.",
        ),
        ("NO_COLOR", "off", "Any value: no colours on a terminal."),
        ("PATH", "set at login", "Where commands are looked for."),
        ("PWD", "set by the shell", "The current directory by the name under which you entered it."),
        ("RUSTUP_TOOLCHAIN", "none", "Of the Rust compiler; modules built with another one are others."),
        ("TERM", "set by the terminal", "`dumb`: no colours."),
        ("TMPDIR", "`/tmp`", "Where commands are executed, each in a directory of its own."),
        ("USER", "set at login", "See `LOGNAME`."),
        ("XDG_CACHE_HOME", "`~/.cache`", "The directory that holds the default cache directory."),
        ("XDG_RUNTIME_DIR", "set at login", "Where the sockets of kept SSH connections are; without it below `/tmp`."),
    ]
    return [Variable(*row, section="Variables of others that are read") for row in rows]


# celltype: (values that can be stored, bytes, what a step gets, an example as Python source or None)
CELLTYPES: dict[str, tuple[str, str, str, str | None]] = {
    "binary": ("a numpy array, or what makes one", "npy format", "read-only array, or numpy scalar", None),
    "mixed": (
        "plain values, arrays, bytes, and containers of these",
        "JSON in ASCII; npy for one array; else a stream of both",
        "the value; bytes come as an array of dtype S",
        "{'b': 1e-05, 'a': 'é'}",
    ),
    "text": ("text", "UTF-8, one newline at the end", "text without newlines at the end", "'two\\nlines'"),
    "python": ("Python source", "as `text`", "text, checked to be Python", "'x = 1'"),
    "ipython": ("IPython source", "as `text`", "text, checked to be IPython", "'%time x'"),
    "plain": (
        "None, bool, numbers, text; lists and dicts of these",
        "JSON in UTF-8: two spaces, sorted keys, one newline at the end",
        "the value; tuples come as lists",
        "{'b': 1e-05, 'a': 'é'}",
    ),
    "yaml": ("YAML text", "as `text`", "text, checked to be YAML", "'a: 1'"),
    "str": ("text, numbers", "a JSON string", "text", "'two\\nlines'"),
    "bytes": ("bytes, or an array's memory", "the bytes", "bytes", "b'\\x00\\x01'"),
    "int": ("what `int()` takes", "a JSON integer", "int", "42"),
    "float": ("what `float()` takes, not NaN or infinite", "a JSON number", "float", "3"),
    "bool": ("any value", "`true` or `false`", "bool", "True"),
    "checksum": (
        "a checksum, or lists and dicts of them",
        "JSON with hexadecimal strings",
        "in Python: the text; as a pin: the value behind it",
        None,
    ),
    "deepcell": (
        "nested dict or list; each leaf is stored by itself as `mixed`",
        "as `plain`, with checksums as leaves",
        "the structure with Checksum objects",
        None,
    ),
    "deepfolder": ("dict: path to bytes", "as `plain`: path to checksum", "dict: path to Checksum", None),
    "folder": ("dict: path to bytes", "as `plain`: path to checksum", "dict: path to bytes", None),
    "module": ("the definition of a Python module", "as `plain`", "a module, not an argument", None),
}


_SELECTABLE = (
    "cluster", "execution", "node", "nparallel", "persistent", "project", "queue", "record", "remote", "stage",
    "subproject", "substage",
)  # fmt: skip

# section of the page, where its names are imported from, the names
API: list[tuple[str, str, list[str]]] = [
    ("Steps", "seamless.transformer", ["direct", "delayed", "Transformer", "DirectTransformer"]),
    ("Transformations", "seamless.transformer", ["Transformation", "transformation_from_dict"]),
    (
        "Many steps",
        "seamless.transformer",
        ["parallel", "parallel_async", "TransformationList", "TransformationIterableBase"],
    ),
    ("Environment of a step", "seamless.transformer", ["Environment"]),
    ("Checksums", "seamless", ["Checksum"]),
    ("Buffers", "seamless", ["Buffer"]),
    ("Session", "seamless", ["close", "ensure_open", "register_close_hook", "is_worker", "set_is_worker"]),
    (
        "Configuration",
        "seamless.config",
        [
            "init", "set_stage", "set_substage", "load", "change_stage", "resolve", "describe", "set_overrides",
            "set_workdir", "get_workdir", "get_seamless_cache",
        ],
    ),
    ("Selections", "seamless.config", [f"select_{name}" for name in _SELECTABLE] + ["set_nparallel"]),
    (
        "Current values",
        "seamless.config",
        [
            "get_current", "get_selected_cluster", "get_selected_project", "get_selected_subproject", "get_stage",
            "get_substage", "get_execution", "get_remote", "get_queue", "get_node", "get_persistent", "get_record",
            "get_nparallel", "check_remote_redundancy",
        ],
    ),
    (
        "Stores handed down to other programs",
        "seamless.config",
        ["collect_remote_clients", "set_remote_clients", "set_remote_clients_from_env"],
    ),
    (
        "Launch dicts of services",
        "seamless.config",
        [
            "configure_hashserver", "configure_database", "configure_jobserver", "configure_daskserver",
            "configure_pure_daskserver",
        ],
    ),
    ("Launched services", "seamless.launcher", ["run", "connect", "stop", "status", "forget"]),
    (
        "Clients for buffers",
        "seamless.remote.buffer_remote",
        [
            "define_launched_client", "define_extern_client", "activate", "deactivate", "has_read_server",
            "has_write_server", "ensure_initialized", "inspect_launched_clients", "inspect_extern_clients",
        ],
    ),
    (
        "Clients for results",
        "seamless.remote.database_remote",
        ["define_launched_client", "define_extern_client", "activate", "deactivate"],
    ),
    ("Cache directory", "seamless.config.embedded", ["activate_embedded"]),
    ("Cache directory, opened by hand", "seamless.stores.embedded", ["open_embedded", "EmbeddedStore"]),
    ("Celltypes", "seamless.celltypes", ["serialize", "parse", "convert", "canonical_json"]),
]  # fmt: skip
