"""The order of things in one run: plan, hash, look up, and on a miss execute; then deliver and report."""

from __future__ import annotations

import os

from seamless.cli.common import INTERRUPTED, OK, OWN, USAGE, Messages
from seamless.cli.running.delivery import deliver
from seamless.cli.running.description import Description
from seamless.cli.running.inputs import hash_inputs
from seamless.cli.running.run_state import Run
from seamless.errors import BufferCorruptionError, CacheMissError, SeamlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seamless.checksum import Checksum
    from seamless.cli.commandline.plan import PlanOptions
    from seamless.cli.commandline.typing import Promises
    from seamless.cli.run_options import Options
    from seamless.transformer.outcome import Outcome

_DOWNLOAD_DISABLED = (
    "Download disabled. Refuse to print output to screen: {option} needs a result target. "
    "Redirect the output ('... > FILE') or name a result with -cp."
)


def run_command(options: Options, prog: str) -> int:
    """Do what the options say; return the exit status. Raises SeamlessError, OSError, KeyboardInterrupt."""
    run = Run(options, Messages(prog, options.verbosity))
    if options.detach:
        from seamless.cli.running.detach import detach

        status = detach(run)
        if status is not None:
            return status
    try:
        status = _reported(run) if options.json else _run(run)
    finally:
        run.close()
    if run.detachment is not None and status == OK:
        run.detachment.close()
    return status


def _reported(run: Run) -> int:
    """Do what `_run` does, and print the JSON object about it, however it ends."""
    from seamless.cli.running.report import print_report

    status = OWN
    try:
        status = _run(run)
    except SeamlessError as exc:
        run.error = str(exc)
        status = USAGE if isinstance(exc, UsageError) else OWN
        raise
    except KeyboardInterrupt:
        status = INTERRUPTED
        raise
    finally:
        print_report(run, status)
    return status


def _run(run: Run) -> int:
    options = run.options
    _plan(run)
    if options.dry:
        from seamless.cli.running.dry import dry_run

        return dry_run(run)
    if options.undo:
        from seamless.cli.running.undo import undo

        return undo(run)
    if options.qsubmit:
        from seamless.cli.queueing.submit import submit

        return submit(run)
    return complete(run)


def complete(run: Run) -> int:
    """Look up the planned step, execute it if need be, deliver the result; return the exit status."""
    options = run.options
    known = run.store.results.get_result(run.checksum)
    if options.explain:
        _explain(run, known)
    if known is None or options.refresh:
        return _execute(run, known)
    try:
        run.cached = True
        status = deliver(run, known)
    except (CacheMissError, BufferCorruptionError) as exc:
        # A scratch result, or one that was cleared away or damaged: known, but to be computed again.
        level = 0 if isinstance(exc, BufferCorruptionError) else 1
        run.messages.message(level, f"the cached result cannot be read ({exc}); it is computed again")
        run.cached = False
        return _execute(run, known)
    if options.show_stderr:
        _show_stderr(run)
    return status


def _plan(run: Run) -> None:
    """Analyse the command line, refuse what cannot be, hash the inputs, make the identity."""
    from seamless.cli.commandline.plan import make_plan

    options = run.options
    for directory in (options.job, options.remote_job):
        if directory is not None:
            _refuse_existing(directory)
    try:
        run.plan = make_plan(
            plan_options(options), wait_future=_wait(run), warn=run.messages.warning, promises=_promises(options)
        )
    except UsageError as exc:
        from seamless.cli.running.notices import misplaced_option

        advice = misplaced_option(options.command)
        if not advice:
            raise
        raise UsageError(f"{exc}\n{advice}") from exc
    if not options.dry and not options.undo:
        if not run.wants_content and not run.plan.targets and not options.json:
            option = "--scratch" if options.scratch else "--no-download"
            raise UsageError(_DOWNLOAD_DISABLED.format(option=option))
        if image := run.plan.environment.get("docker_image"):
            _check_image(image)
    _notices(run)
    run.inputs = hash_inputs(run.plan.inputs, run.messages)
    run.description = Description(run.plan, run.inputs)


def plan_options(options: Options) -> PlanOptions:
    """Return the part of the options that the analysis of the command line needs."""
    from seamless.cli.commandline.plan import PlanOptions

    return PlanOptions(
        command=list(options.command),
        unquote=options.unquote,
        guess1=options.guess1,
        guess2=options.guess2,
        base_directory=options.base_directory,
        mapping=options.mapping,
        captures=list(options.captures),
        inputs=list(options.inputs),
        input_files=list(options.input_files),
        variables=[*options.variables, *_from_environment(options.environment)],
        metavars=list(options.metavars),
        prologues=list(options.prologues),
        primary=options.primary,
        exact=options.exact,
        conda=options.conda,
        docker=options.docker,
        pipefail=options.pipefail,
        lenient=options.lenient,
    )


def _from_environment(names: Sequence[str]) -> list[str]:
    """Return NAME=VALUE of variables of the caller. Raises UsageError for one that is not set."""
    import os

    for name in names:
        if name not in os.environ:
            raise UsageError(f"--env {name}: there is no such environment variable; set it, or use --var {name}=VALUE")
    return [f"{name}={os.environ[name]}" for name in names]


def _refuse_existing(directory: str) -> None:
    import os

    if os.path.lexists(directory):
        raise UsageError(f"Output job directory '{directory}' already exists")


def _check_image(image: str) -> None:
    """Raise UsageError for the name of an image that can be none, before anything is done."""
    import os

    if "://" not in image and not image.startswith(("/", "~")) and not os.path.exists(image):
        raise UsageError(
            f"--docker {image}: there is no such file. Give the path of an image (.sif), or docker://{image} to have "
            "it fetched; the command is not run outside of it."
        )


def _wait(run: Run) -> Callable[[str], None]:
    def wait(path: str) -> None:
        from seamless.cli.running.future import wait_for_future

        wait_for_future(run.messages)(path)

    return wait


def _promises(options: Options) -> Promises | None:
    """Return what the queue is still to make, for a step that will be executed by the queue as well."""
    if not options.qsubmit:
        return None
    from seamless.cli.queueing.promises import QueuedTargets
    from seamless.cli.queueing.records import queue_path

    return QueuedTargets(queue_path())


def _notices(run: Run) -> None:
    from seamless.cli.running.notices import outside_variables

    if run.messages.verbosity < 0:
        return
    _warn_of_overwriting(run)
    if run.options.hermetic:
        return
    declared = set(run.plan.variables) | set(run.plan.metavars)
    for name in outside_variables(run.plan.command, declared):
        run.messages.warning(
            f"the command uses ${name} of your environment, which is not part of its identity: "
            f'another value would not be noticed. Declare it with --var {name}="${name}".'
        )


def _warn_of_overwriting(run: Run) -> None:
    """Say so if an existing file is read by the very command whose result replaces it."""
    command = run.plan.command
    if not any(command.count(target.name) > 1 for target in run.plan.targets):  # nearly always: not worth a parse
        return
    from seamless.cli.running.notices import read_and_overwritten

    name = read_and_overwritten(command)
    if name is not None and any(target.name == name for target in run.plan.targets) and os.path.isfile(name):
        run.messages.warning(
            f"'{name}' is both read and written by the same command: bash empties it before the command begins, so "
            f"its content is not seen. Redirect to another name: '... > new.txt'."
        )


def _explain(run: Run, known: Checksum | None) -> None:
    from seamless.cli.running.explain import explain

    run.result = known
    for line in explain(run):
        run.messages.message(-1, line)


def _show_stderr(run: Run) -> None:
    from seamless.cli.running.execution import show_output
    from seamless.cli.running.explain import recorded_stderr

    data = recorded_stderr(run)
    if data is None:
        run.messages.message(0, "what the command wrote to stderr when it ran is not known any more")
    else:
        show_output("stderr", data)


def _execute(run: Run, known: Checksum | None) -> int:
    """Execute and deliver. `known`: a result to compare with, or None."""
    from seamless.cli.running import execution
    from seamless.cli.running.future import FutureFiles

    with FutureFiles(run.futures, run.checksum.hex()):
        try:
            outcome: Outcome = execution.execute(run, refresh=known is not None)
        except KeyboardInterrupt:
            return _canceled(run)
        if outcome.canceled:
            return _canceled(run)
        run.cached = outcome.cached
        if outcome.result is None:
            run.error = outcome.error
            run.messages.error(execution.failure_text(run, outcome))
            return execution.failure_status(outcome)
        if known is not None and known != outcome.result:
            execution.contest(run, known, outcome)
        elif known is not None and run.options.refresh:
            run.messages.message(0, f"reproducible: the same result {outcome.result} again")
        return deliver(run, outcome.result)


def _canceled(run: Run) -> int:
    run.canceled = True
    run.error = f"Canceled transformation {run.checksum}"
    run.messages.stream.write(run.error + "\n")
    return INTERRUPTED
