"""A process that ends the commands of this one when this one is killed. Begun with the first command, never for a hit.

A shell that waits at a pipe: it hears which process groups there are, and when nobody is left to tell, it ends them.
It is no child of this process, takes no input or output from it, and is gone as soon as this process is.
"""

from __future__ import annotations

import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

# Each line is + or - and a process group. The shell that is begun has ended when the one that waits is there.
_SCRIPT = """
{
  groups=" "
  while read -r sign group; do
    case $sign in
      +) groups="$groups$group " ;;
      -) case $groups in *" $group "*) groups="${groups%% $group *} ${groups#* $group }" ;; esac ;;
    esac
  done
  for group in $groups; do kill -s KILL -- "-$group"; done
} <&3 3<&- >/dev/null 2>&1 &
"""


class Guard:
    """The guard of the commands of this process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe = -1
        self._owner = 0  # the process that has begun it: a forked child needs its own
        self._starting: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Begin it, so that it can be told of a command as soon as that is there. Waits for nothing."""
        with self._lock:
            if self._owner != os.getpid():
                self._begin()

    def add(self, group: int) -> None:
        """Have a process group ended with this process."""
        self._tell("+", group)

    def discard(self, group: int) -> None:
        """Forget a process group, which has ended."""
        if self._owner == os.getpid():
            self._tell("-", group)

    def _tell(self, sign: str, group: int) -> None:
        with self._lock:
            if self._owner != os.getpid():
                self._begin()
            if self._pipe < 0:
                return
            try:
                os.write(self._pipe, b"%s %d\n" % (sign.encode(), group))
            except OSError:  # somebody has ended the guard; the next command gets a new one
                self._forget()
            if self._starting is not None:
                self._starting.wait()
                self._starting = None

    def _begin(self) -> None:
        import subprocess

        reading, writing = os.pipe()
        try:
            starting = subprocess.Popen(
                ["/bin/sh", "-c", f"exec 3<&0 </dev/null{_SCRIPT}"],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # Ctrl-C is not for it
            )
        except OSError:
            os.close(writing)  # no processes left: the command has hardly begun, either
            return
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self._forget()
        self._pipe, self._owner, self._starting = writing, os.getpid(), starting

    def _forget(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe, self._owner = -1, 0


guard = Guard()
