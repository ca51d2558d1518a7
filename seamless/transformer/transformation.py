"""Transformation: an immutable definition and the promise of its result."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.cache.resolve import off_loop, resolve_buffer
from seamless.checksum import Checksum
from seamless.errors import SeamlessError, StoreError, TransformationError
from seamless.shutdown import ensure_open
from seamless.transformer import blocking, runner
from seamless.transformer.construct import ConstructionError, Definition, build, dependencies, envelope_of, frozen
from seamless.transformer.inputs import offer
from seamless.transformer.outcome import Outcome, OutputHandler
from seamless.transformer.recompute import Comparison, compare, fingertip_result, known_result

if TYPE_CHECKING:
    import asyncio

    from seamless.transformer.submission import Submission

_CANCELED = "Transformation was canceled"


class Transformation:
    """A step with its inputs: `compute()` for the checksum of the result, `run()` for the value.

    Made by calling a `delayed` transformer. The definition never changes; the outcome comes once.
    Thread-safe.
    """

    _is_transformation = True

    def __init__(self, definition: Definition, *, missed: bool = False) -> None:
        self._definition = definition
        self._missed = missed  # the caller has just looked the result up in vain
        self._lock = threading.RLock()
        self._tf: Checksum | None = None
        self._tf_dict: dict[str, Any] | None = None
        self._buffers: list[Any] = []  # keeps the definition's buffers findable while the handle lives
        self._construction_error: str | None = None
        self._construction_cause: BaseException | None = None
        self._outcome: Outcome | None = None
        self._submission: Submission | None = None
        self._started = False
        self._canceled = False
        self._callbacks: list[Callable[[Transformation], None]] = []

    # --- construction -------------------------------------------------------------------------

    def construct(self) -> Checksum | None:
        """Compute what this step depends on and its own identity; return the transformation checksum.

        Active stores get its inputs, so that the checksum is enough for others to compute it. Blocks while
        dependencies are computed. None if that fails: see `exception`.
        """
        ensure_open("construct")
        if self._tf is None and self.dependencies():
            blocking.check("construct()", "await tf.construction()")
        return self._construct_and_offer()

    async def construction(self) -> Checksum | None:
        """Do what `construct` does, without blocking the event loop."""
        if self._tf is None and self.dependencies():
            return await off_loop(self._construct_and_offer)  # type: ignore[no-any-return]
        return self._construct_and_offer()

    def _construct_and_offer(self) -> Checksum | None:
        return offer(self._construct(), self._tf_dict)

    def dependencies(self) -> dict[str, tuple[Transformation, ...]]:
        """Return the upstream transformations, by pin."""
        return dependencies(self._definition)

    def _construct(self) -> Checksum | None:
        if self._tf is not None:
            return self._tf
        if self._construction_error is not None or self._canceled:
            return None
        upstream = self.dependencies()
        for transformations in upstream.values():
            for dependency in transformations:
                dependency.start()
        for name, transformations in upstream.items():
            for dependency in transformations:
                if dependency._compute() is None:
                    self._construction_error = _dependency_error(name, dependency)
                    self._construction_cause = dependency._failure()
                    return None
        try:
            tf_dict, identity, buffers = build(self._definition)
        except ConstructionError as exc:
            self._construction_error = str(exc)
            return None
        with self._lock:
            if self._tf is None:
                self._buffers += buffers
                self._tf_dict, self._tf = tf_dict, identity
        return self._tf

    # --- computation --------------------------------------------------------------------------

    def compute(self, *, execute: bool = True) -> Checksum | None:
        """Look the result up or compute it; return its checksum. Blocks.

        None if the step fails or was canceled: see `exception`. Raises StoreError if the result cannot be kept.
        With `execute=False` nothing is executed, upstream neither: None if the result is not known.
        """
        ensure_open("compute")
        if not execute:
            return known_result(self)
        if self._outcome is None:
            blocking.check("compute()", "await tf.computation()")
        return self._compute()

    async def computation(self, require_value: bool = False) -> Checksum | None:
        """Do what `compute` does, without blocking the event loop.

        `require_value`: a known result counts only if its buffer can be had.
        """
        ensure_open("computation")
        await self._finished()
        checksum = self._result()
        if require_value and checksum is not None:
            await off_loop(fingertip_result, checksum)
        return checksum

    def run(self) -> Any:
        """Compute, and return the value of the result; recompute its buffer if it is gone. Blocks.

        Raises TransformationError if the step fails or was canceled.
        """
        ensure_open("run")
        if self._outcome is None:
            blocking.check("run()", "await tf.task()")
        self._compute()
        return self._value()

    def recompute(self) -> Comparison:
        """Execute the step again and compare the result with the known one. Blocks.

        A different result is recorded as a contest: the known one is taken back, and neither counts from then on.
        """
        ensure_open("recompute")
        blocking.check("recompute()", "await asyncio.to_thread(tf.recompute)")
        return compare(self)

    @property
    def result(self) -> Any:
        """The value of the result, computed if need be: what `run()` returns."""
        return self.run()

    def task(self) -> asyncio.Task[Any]:
        """Return an asyncio task for the value; canceling the task cancels the transformation."""
        import asyncio

        ensure_open("task")
        return asyncio.get_running_loop().create_task(self._await_value())

    def __await__(self) -> Any:
        return self._await_value().__await__()

    async def _await_value(self) -> Any:
        import asyncio

        try:
            await self._finished()
        except asyncio.CancelledError:
            self.cancel()
            raise
        self._raise_unless_ok()
        assert self._outcome is not None and self._outcome.result is not None
        buffer = await off_loop(fingertip_result, self._outcome.result)
        return await buffer.get_value_async(self.celltype)

    async def _finished(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        finished = loop.create_future()

        def set_finished() -> None:
            if not finished.done():
                finished.set_result(None)

        def wake(_: Transformation) -> None:
            # A loop that was closed has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(set_finished)

        self.start()
        self._add_done_callback(wake)
        await finished

    def start(self, *, loop: Any = None) -> Transformation:
        """Begin in the background, upstream transformations first; return self. `loop` is accepted and not needed."""
        ensure_open("start")
        with self._lock:
            if self._started or self._outcome is not None or self._canceled:
                return self
            self._started = True
        waiting = [d for transformations in self.dependencies().values() for d in transformations]
        for dependency in waiting:
            dependency.start()
        self._after(waiting)
        return self

    def _after(self, waiting: list[Transformation]) -> None:
        """Submit once all dependencies are done, without holding a thread meanwhile."""
        left = [len(waiting)]
        lock = threading.Lock()

        def one_less(_: Transformation) -> None:
            with lock:
                left[0] -= 1
                ready = left[0] == 0
            if ready:
                self._submit_in_background()

        if not waiting:
            self._submit_in_background()
        for dependency in waiting:
            dependency._add_done_callback(one_less)

    def _submit_in_background(self) -> None:
        try:
            submission = self._submit()
        except (RuntimeError, SeamlessError) as exc:  # closed meanwhile, a store fails, an envelope was refused
            self._settle(Outcome(self._tf or _NO_CHECKSUM, error=f"{type(exc).__name__}: {exc}\n", original=exc))
            return
        if submission is not None:
            submission.start()

    def _submit(self) -> Submission | None:
        """Look up; on a miss return the submission that will give the outcome. None when the outcome is there."""
        with self._lock:
            if self._outcome is not None:
                return None
            if self._submission is not None:
                return self._submission
        tf = self._construct()
        envelope = envelope_of(self._definition)
        if tf is None:
            error, cause = self._construction_error or _CANCELED, self._construction_cause
            self._settle(Outcome(_NO_CHECKSUM, error=error, original=cause, canceled=self._canceled))
            return None
        assert self._tf_dict is not None
        try:
            known = None if self._missed else runner.lookup(tf, require_value=not envelope.scratch)
        except StoreError as exc:
            self._settle(Outcome(tf, error=f"{type(exc).__name__}: {exc}\n", original=exc))
            return None
        self._missed = False
        if known is not None:
            self._settle(Outcome(tf, result=known, cached=True))
            return None
        submission = runner.submit(self._tf_dict, tf, envelope, on_output=self._handler())
        with self._lock:
            if self._submission is not None or self._outcome is not None:
                # Another thread came first with this handle, or has canceled it.
                superfluous, submission = submission, self._submission
            else:
                superfluous, self._submission = None, submission
        if superfluous is not None:
            superfluous.leave()
            return submission
        submission.add_done_callback(self._settle)
        return submission

    def _handler(self) -> OutputHandler | None:
        if not self._definition.envelope.direct_print:
            return None
        from seamless.transformer.capture import live_output

        return live_output()

    def _compute(self) -> Checksum | None:
        if self._outcome is None:
            submission = self._submit()
            if submission is not None:
                try:
                    self._settle(submission.wait())
                except KeyboardInterrupt:
                    self._reopen(interrupted=True)
                    raise
        return self._result()

    def _settle(self, outcome: Outcome) -> None:
        with self._lock:
            if self._outcome is not None:
                return
            self._outcome = outcome
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def _add_done_callback(self, callback: Callable[[Transformation], None]) -> None:
        with self._lock:
            if self._outcome is None:
                self._callbacks.append(callback)
                return
        callback(self)

    def _result(self) -> Checksum | None:
        assert self._outcome is not None
        if isinstance(self._outcome.original, StoreError):
            raise self._outcome.original
        return self._outcome.result

    def _failure(self) -> BaseException | None:
        return self._outcome.original if self._outcome is not None else self._construction_cause

    def _value(self) -> Any:
        self._raise_unless_ok()
        assert self._outcome is not None and self._outcome.result is not None
        return fingertip_result(self._outcome.result).get_value(self.celltype)

    # --- cancelling and retrying --------------------------------------------------------------

    def cancel(self, *, recursive: bool = False) -> bool:
        """Cancel for good; `recursive` also what it depends on. True if that changed anything."""
        changed = False
        if recursive:
            for transformations in self.dependencies().values():
                for dependency in transformations:
                    changed = dependency.cancel(recursive=True) or changed
        with self._lock:
            if self._outcome is not None or self._canceled:
                return changed
            self._canceled = True
            submission, self._submission = self._submission, None
        self._settle(Outcome(self._tf or _NO_CHECKSUM, error=_CANCELED, canceled=True))
        if submission is not None:
            submission.leave()
        return True

    async def cancel_async(self, *, recursive: bool = False) -> bool:
        """Do what `cancel` does, without blocking the event loop."""
        return bool(await off_loop(lambda: self.cancel(recursive=recursive)))

    def clear_exception(self) -> None:
        """Forget a failure, so that the next `compute` tries again. Does nothing after `cancel`."""
        with self._lock:
            if self._canceled:
                return
            self._construction_error = self._construction_cause = None
        self._reopen()
        for transformations in self.dependencies().values():
            for dependency in transformations:
                dependency.clear_exception()

    def _reopen(self, *, interrupted: bool = False) -> None:
        """Forget a failed outcome; with `interrupted` only one that Ctrl-C has caused."""
        with self._lock:
            outcome = self._outcome
            if outcome is None or outcome.error is None or self._canceled:
                return
            if not interrupted or isinstance(outcome.original, KeyboardInterrupt):
                self._outcome, self._submission, self._started = None, None, False

    # --- looking ------------------------------------------------------------------------------

    def is_cached(self) -> bool:
        """Tell whether the result is known already; dependencies are computed for that. Blocks."""
        ensure_open("is_cached")
        if self._tf is None and self.dependencies():
            blocking.check("is_cached()", "await tf.is_cached_async()")
        tf = self._construct()
        return tf is not None and runner.lookup(tf) is not None

    async def is_cached_async(self) -> bool:
        """Do what `is_cached` does, without blocking the event loop."""
        tf = await off_loop(self._construct)
        return tf is not None and await off_loop(runner.lookup, tf) is not None

    @property
    def transformation_checksum(self) -> Checksum:
        """The identity. TransformationError before construction."""
        if self._tf is None:
            if self._construction_error is not None:
                raise TransformationError(
                    f"Transformation construction returned an exception:\n{self._construction_error}"
                )
            raise TransformationError("Transformation has not been constructed")
        return self._tf

    @property
    def result_checksum(self) -> Checksum:
        """The checksum of the result. TransformationError unless it has been computed."""
        self._raise_unless_ok()
        assert self._outcome is not None and self._outcome.result is not None
        return self._outcome.result

    @property
    def buffer(self) -> Buffer:
        """The result buffer; never recomputed: CacheMissError if it is gone."""
        return resolve_buffer(self.result_checksum)

    @property
    def value(self) -> Any:
        """The value of the result; never recomputed: CacheMissError if its buffer is gone."""
        return self.buffer.get_value(self.celltype)

    @property
    def celltype(self) -> str:
        """The celltype of the result."""
        return self._definition.celltype

    @property
    def exception(self) -> str | None:
        """Why there is no result: the complete text, or None."""
        if self._outcome is not None:
            return self._outcome.error
        return self._construction_error

    @property
    def original_type(self) -> str | None:
        """The class name of the exception that the step's own code raised."""
        original = self._failure()
        return type(original).__name__ if original is not None else None

    @property
    def logs(self) -> str:
        """What the execution has printed: standard output, then standard error. Empty for a cached result."""
        if self._outcome is None:
            return ""
        return (self._outcome.stdout + self._outcome.stderr).decode(errors="replace")

    @property
    def status(self) -> str:
        """One of `Status: ready`, `pending`, `OK`, `exception`, `canceled`."""
        if self._canceled or (self._outcome is not None and self._outcome.canceled):
            return "Status: canceled"
        if self.exception is not None:
            return "Status: exception"
        if self._outcome is not None:
            return "Status: OK"
        return "Status: pending" if self._started or self._submission is not None else "Status: ready"

    @property
    def meta(self) -> Any:
        """How it is executed, as a read-only view."""
        return frozen(self._definition.envelope.meta)

    @meta.setter
    def meta(self, value: Any) -> None:
        raise TransformationError("Transformation definition is immutable")

    @property
    def scratch(self) -> bool:
        """Whether the result buffer is not kept."""
        return self._definition.envelope.scratch

    @scratch.setter
    def scratch(self, value: bool) -> None:
        raise TransformationError("Transformation definition is immutable")

    @property
    def allow_input_fingertip(self) -> bool:
        """Whether inputs that are gone may be recomputed."""
        return self._definition.envelope.allow_input_fingertip

    def __repr__(self) -> str:
        known = f" {self._tf}" if self._tf is not None else ""
        return f"<Transformation{known}: {self.status.removeprefix('Status: ')}>"

    def _raise_unless_ok(self) -> None:
        outcome = self._outcome
        if outcome is None:
            if self._construction_error is not None:
                raise TransformationError(
                    f"Transformation construction returned an exception:\n{self._construction_error}"
                )
            if self._started or self._submission is not None:
                raise TransformationError("Transformation is still computing")
            raise TransformationError("Transformation has not been computed")
        if outcome.canceled:
            raise TransformationError(_CANCELED) from outcome.original
        if outcome.error is not None:
            what = "construction " if self._tf is None else ""
            raise TransformationError(
                f"Transformation {what}returned an exception:\n{outcome.error}",
                original_type=self.original_type,
                exit_status=outcome.exit_status,
            ) from outcome.original


_NO_CHECKSUM = Checksum(bytes(32))


def _dependency_error(pin: str, dependency: Transformation) -> str:
    return f"RuntimeError: Dependency '{pin}' has an exception:\n{dependency.exception or _CANCELED}"
