"""Every error class of the project, in one tree; those of a storey above are defined there.

    SeamlessError
      CacheMissError                   nobody has the buffer with this checksum
      BufferCorruptionError            bytes were found, but they do not have the checksum they are filed under
      StoreError                       a buffer directory or database cannot be used
        StoreFullError                 ... because the file system or the quota is full
        StoreReadOnlyError             ... because it may not be written
        RemoteError                    ... because its service cannot be used (seamless.remote.errors)
      SeamlessConversionError          (ValueError) a buffer cannot be converted to another celltype
      MissingDependencyError           (ImportError) an optional package is needed; names the extra to install
      UsageError                       the user asked for something that cannot be; one clear message, exit status 2
        ConfigurationError             (RuntimeError, ValueError) ... in a configuration file (seamless.config.errors)
        RecordBucketError              (RuntimeError) ... of full records (seamless.transformer.recording.mode)
        RemoteUsageError               (ValueError) ... about a client of a service (seamless.remote.errors)
      LauncherError                    (RuntimeError) a service cannot be started or reached (seamless.launcher.errors)
      TransformationError              (RuntimeError) a transformation could not be built or has failed
        SeamlessStreamTransformationError   ... a bash transformation has failed
        WorkerLostError                ... the process that ran it has died
        UnavailableError               ... its environment cannot be had (seamless.transformer.environments.errors)

Errors carry their data as attributes; the text is made from them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SeamlessError(Exception):
    """Base class of all errors that Seamless itself raises. They survive the way to another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuilt, (type(self), self.args, self.__dict__))


def _rebuilt(kind: type[SeamlessError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SeamlessError:
    """Return an unpickled error, whatever arguments its class was called with."""
    error = kind.__new__(kind, *args)
    super(SeamlessError, error).__init__(*args)  # ImportError keeps its text here
    error.__dict__.update(attributes)
    return error


class CacheMissError(SeamlessError):
    """No known source has the buffer. `args[0]` and `.checksum` are the Checksum."""

    def __init__(self, checksum: Any = None, *, asked: tuple[str, ...] = ()):
        super().__init__(checksum)
        self.checksum = checksum
        self.asked = asked

    def __str__(self) -> str:
        text = str(self.checksum)
        if self.asked:
            text += f" (not in: {', '.join(self.asked)})"
        return text


class BufferCorruptionError(SeamlessError):
    """Bytes filed under `checksum` (hex) turned out to have the checksum `found` (hex or None)."""

    def __init__(self, checksum: str, *, where: str, found: str | None = None, quarantined: str | None = None):
        self.checksum, self.where, self.found, self.quarantined = checksum, where, found, quarantined
        text = f"corrupted buffer {checksum} in {where}"
        if found:
            text += f": the bytes there have checksum {found}"
        if quarantined:
            text += f"; moved aside to {quarantined}"
        super().__init__(text)


class StoreError(SeamlessError):
    """A buffer directory or result database cannot be used."""


class StoreFullError(StoreError):
    """The file system that holds the store is full, or a quota is exhausted."""


class StoreReadOnlyError(StoreError):
    """The store may be read but not written."""


class SeamlessConversionError(SeamlessError, ValueError):
    """A buffer cannot be converted from one celltype to another."""


class MissingDependencyError(SeamlessError, ImportError):
    """An optional package is missing: `package`, to be had with the extra `extra`."""

    def __init__(self, package: str, *, extra: str, purpose: str):
        self.package, self.extra = package, extra
        super().__init__(f"{purpose} needs the package '{package}': pip install 'seamless[{extra}]'")


class UsageError(SeamlessError):
    """A mistake in what the user asked for. The text is the complete message."""


class TransformationError(SeamlessError, RuntimeError):
    """A transformation could not be constructed, has failed, or was canceled.

    `original_type` is the class name of the exception raised by the user's code, if known;
    `exit_status` the exit status of a command, if it was one.
    """

    def __init__(self, *args: Any, original_type: str | None = None, exit_status: int | None = None):
        super().__init__(*args)
        self.original_type = original_type
        self.exit_status = exit_status


class SeamlessStreamTransformationError(TransformationError):
    """A bash transformation has failed."""


class WorkerLostError(TransformationError):
    """The process that executed a transformation has died. `out_of_memory`: the system has ended it for that."""

    out_of_memory = False
