"""What comes of a step that fails: its outcome, with a text that says what happened where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seamless.session import session
from seamless.transformer.outcome import Outcome, Usage

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.errors import TransformationError
    from seamless.transformer.outcome import Envelope
    from seamless.transformer.submission import Submission


def where(submission: Submission, exc: BaseException) -> str:
    """Return the line that says which transformation it was, and where it was executed."""
    import platform

    place = getattr(exc, "where", None) or f"process {os.getpid()} on {platform.node()}"
    return f"(transformation {submission.tf}, {place})\n"


def _users_part(exc: BaseException) -> BaseException:
    """Cut the frames of the machinery off the traceback of an exception that the step has raised."""
    frame = exc.__traceback__
    while frame is not None and not frame.tb_frame.f_code.co_filename.startswith("<transformer"):
        frame = frame.tb_next
    return exc.with_traceback(frame or exc.__traceback__)


def note_failure(tf: Checksum, envelope: Envelope, text: str, stderr: bytes, exit_status: int | None) -> None:
    """Have the stores remember a failure for who looks at them; it is no result. Raises StoreError."""
    command = envelope.command or envelope.name
    for store in session.writable_result_stores():
        note = getattr(store, "note_failure", None)
        if note is not None:
            note(tf, error=text, stderr=stderr, exit_status=exit_status, command=command)


def failure(submission: Submission, exc: TransformationError, stdout: bytes, stderr: bytes) -> Outcome:
    """Return the outcome of a step that has failed, or was canceled; the stores remember a failure."""
    text = str(exc)
    if not text.endswith("\n"):
        text += "\n"
    complete = getattr(exc, "complete", False)  # it was made where the step was executed
    text += "" if complete else where(submission, exc)
    if (
        not complete and submission.transformation.get("__language__") != "bash"
    ):  # a bash failure shows its output itself
        for title, data in (("Standard output", stdout), ("Standard error", stderr)):
            if data:
                text += f"{'*' * 50}\n* {title}\n{'*' * 50}\n{data[-4000:].decode(errors='replace').rstrip()}\n"
    if submission.canceled.is_set():
        return Outcome(submission.tf, error="Transformation was canceled", canceled=True)
    if not complete:  # else it was noted there
        note_failure(submission.tf, submission.envelope, text, stderr, exc.exit_status)
    return Outcome(
        submission.tf,
        error=text,
        original=_users_part(exc.__cause__ or exc),
        exit_status=exc.exit_status,
        stdout=stdout,
        stderr=stderr,
        usage=Usage(),
    )
