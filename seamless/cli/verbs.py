"""The verbs of `seamless VERB`: for each command that is for people, its group, its function and what it does.

Data only, so that finding a verb costs nothing. Helpers that programs call (`rhl-*`) are no verbs.
"""

from __future__ import annotations

# group -> verb -> (module:function, what it does)
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Run commands": {
        "run": ("seamless.cli.run:main", "run a command line once; the next time, take its result"),
        "queue": ("seamless.cli.queue:main", "execute the commands that were submitted"),
        "queue-finish": ("seamless.cli.queue_finish:main", "wait until the queue has done all, and end it"),
        "run-transformation": ("seamless.cli.run_transformation:main", "execute a step known by its checksum"),
        "cancel": ("seamless.cli.cancel:main", "end an execution"),
    },
    "Files and checksums": {
        "checksum": ("seamless.cli.checksum:main", "print the checksum of files"),
        "checksum-file": ("seamless.cli.checksum_file:main", "write FILE.CHECKSUM"),
        "checksum-index": ("seamless.cli.checksum_index:main", "write DIR.INDEX and DIR.CHECKSUM"),
        "upload": ("seamless.cli.upload:main", "store files and directories"),
        "download": ("seamless.cli.download:main", "bring back what was stored"),
        "resolve": ("seamless.cli.resolve:main", "write the bytes behind a checksum"),
        "fingertip": ("seamless.cli.fingertip:main", "the same; compute them again if they are gone"),
    },
    "Results": {
        "status": ("seamless.cli.status:main", "say what is there, what runs, what has failed and why"),
        "explain": ("seamless.cli.explain:main", "say what identifies a step, and why it runs or not"),
        "record": ("seamless.cli.record:main", "show the record of an execution"),
        "verify": ("seamless.cli.verify:main", "execute steps again and compare the results"),
        "export": ("seamless.cli.export:main", "write results and what belongs to them into a file"),
        "import": ("seamless.cli.import_results:main", "put the results of such a file into the store"),
        "gc": ("seamless.cli.gc:main", "remove buffers that can be had again"),
    },
    "Project": {
        "init": ("seamless.cli.init:main", "have the configured services run"),
        "config": ("seamless.cli.config:main", "show and check what is configured"),
        "doctor": ("seamless.cli.doctor.main:main", "check whether what is configured can work"),
        "probe": ("seamless.cli.probe:main", "note machine and software, for records"),
    },
    "Services": {
        "service-ps": ("seamless.cli.service.ps:main", "list services"),
        "service-logs": ("seamless.cli.service.logs:main", "print the log of a service"),
        "service-inspect": ("seamless.cli.service.inspect:main", "print the state of a service"),
        "service-resolve": ("seamless.cli.service.resolve:main", "print what a service is, as JSON"),
        "service-stop": ("seamless.cli.service.stop:main", "stop services"),
        "service-rm": ("seamless.cli.service.rm:main", "remove what is recorded about services"),
        "service-clear": ("seamless.cli.service.clear:main", "delete the data of a service"),
    },
    "Servers": {
        "hashserver": ("seamless.cli.hashserver:main", "serve buffers"),
        "database": ("seamless.cli.database:main", "serve results"),
        "database-check": ("seamless.cli.database:check_main", "check a file of results"),
        "jobserver": ("seamless.cli.jobserver:main", "execute transformations for clients"),
        "dashboard": ("seamless.cli.dashboard:main", "show runs, failures and services in a browser"),
        "dask-wrapper": ("seamless.cli.dask_wrapper:main", "run a Dask scheduler with its workers"),
    },
}

# Verbs of two words: `seamless service ps` is `seamless service-ps`.
PREFIXES = ("service", "queue")


def command_of(verb: str) -> str:
    """Return the name of the command that a verb stands for.

    >>> command_of("run"), command_of("hashserver")
    ('seamless-run', 'hashserver')
    """
    return verb if verb == "hashserver" else f"seamless-{verb}"


def find(words: list[str]) -> tuple[str, str, list[str]] | None:
    """Return verb, `module:function` and the other words of a line that begins with a verb; else None.

    >>> find(["service", "ps", "--json"])[0::2]
    ('service-ps', ['--json'])
    """
    if not words:
        return None
    if len(words) > 1 and words[0] in PREFIXES:
        joined = f"{words[0]}-{words[1]}"
        for verbs in GROUPS.values():
            if joined in verbs:
                return joined, verbs[joined][0], words[2:]
    for verbs in GROUPS.values():
        if words[0] in verbs:
            return words[0], verbs[words[0]][0], words[1:]
    return None


def all_verbs() -> list[str]:
    """Return the verbs in the order of the help."""
    return [verb for verbs in GROUPS.values() for verb in verbs]
