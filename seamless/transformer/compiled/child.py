"""The process that compiled code runs in: a program of its own, which imports nothing of Seamless.

`child.py FD PLACE DIRECTORY...`: a server that does nothing but fork. Each of its children loads one module, makes
one call, and ends: no call sees the static variables of another one, and a crash is the end of that child only. The
server ends, with all children, when the other end of its socket is closed; it removes the directory PLACE then.

To the server: marshal of ("fork", id, path to load in advance, variables) with the descriptors of a socket and of a
pipe, or ("kill", id). Through the pipe it tells (wait status, user seconds, system seconds, peak KiB) of the child.
To a child: marshal of (directory, size of memory, offsets), with the descriptors of memory, stdout and stderr. From
it: `B` when the call begins, then marshal of (status, user seconds, system seconds, peak KiB), or of the reason for
which the module cannot be loaded.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import mmap
import os
import resource
import select
import shutil
import signal
import socket
import sys
from typing import Any, NoReturn

_MESSAGE = 1 << 20
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_NOW = 2  # RTLD_NOW
_FUNCTIONS = """
int prctl(int, unsigned long, ...);
void *dlopen(const char *, int);
void *dlsym(void *, const char *);
char *dlerror(void);
"""
_PARENT_MILLISECONDS = 5000  # how often to see whether the parent is still there, should a fork of it hold the socket
_STACK = 64 << 20


class Native:
    """What a child needs of C: looked up once, before there are children, as a fork pays for what it touches."""

    def __init__(self, ffi: Any) -> None:
        ffi.cdef(_FUNCTIONS)
        self.ffi = ffi
        libc = ffi.dlopen(None)
        self.prctl, self.dlopen, self.dlsym, self.dlerror = libc.prctl, libc.dlopen, libc.dlsym, libc.dlerror
        self.death_signal = ffi.cast("unsigned long", int(signal.SIGKILL))
        self.entry, self.characters, self.array = map(ffi.typeof, ("int(*)(void **)", "char *", "void *[]"))
        self.pointers(bytearray(1), [0])

    def pointers(self, memory: Any, offsets: Any) -> Any:
        """Return the array of the addresses of these offsets."""
        base = self.ffi.cast(self.characters, self.ffi.from_buffer(memory))
        return self.ffi.new(self.array, [base + offset for offset in offsets])

    def load(self, path: str) -> Any:
        """Return the function of a module, or the reason for which it cannot be loaded."""
        library = self.dlopen(path.encode(), _NOW)
        function = self.dlsym(library, b"seamless_call") if library else library
        if not function:
            return os.fsdecode(self.ffi.string(self.dlerror()))
        return self.ffi.cast(self.entry, function)


class Server:
    """Forks on request, collects its children, and tells how they ended."""

    def __init__(self, control: socket.socket, native: Native) -> None:
        self.control, self.native = control, native
        self.pid, self.parent = os.getpid(), os.getppid()
        self.children: dict[int, tuple[int, int]] = {}  # pid -> (id, descriptor of the pipe)
        self.wakeup, self.alarm = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self.alarm, False)

    def serve(self) -> None:
        """Work until nobody is left to work for."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.alarm, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.wakeup, select.POLLIN)
        while os.getppid() == self.parent:
            events = dict(poll.poll(_PARENT_MILLISECONDS))
            if self.wakeup in events:
                os.read(self.wakeup, 4096)
            self.collect()
            if self.control.fileno() in events and not self.obey():
                break
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)
        while self.children:
            self.collect(0)

    def obey(self) -> bool:
        """Do what the next message says; False if there will be none."""
        try:
            message, fds, _, _ = socket.recv_fds(self.control, _MESSAGE, 2)
        except ConnectionError:
            return False
        if not message:
            return False
        order = marshal.loads(message)
        if order[0] == "fork":
            self.fork(order[1], order[2], order[3], fds)
        else:
            for pid, (known, _) in self.children.items():
                if known == order[1]:
                    os.kill(pid, signal.SIGKILL)
        return True

    def fork(self, number: int, path: str, variables: dict[str, str], fds: list[int]) -> None:
        """Make a child that waits on the socket."""
        connection, status = fds
        try:
            pid = os.fork()
        except OSError as exc:
            os.write(status, marshal.dumps(f"cannot make a process: {exc.strerror}"))
            os.close(status)
        else:
            if pid == 0:
                self.become_child(connection, status, path, variables)
            self.children[pid] = (number, status)
        os.close(connection)

    def collect(self, flags: int = os.WNOHANG) -> None:
        """Tell of the children that have ended."""
        while self.children:
            pid, status, used = os.wait4(-1, flags)
            if pid == 0:
                return
            _, pipe = self.children.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # nobody wants to know
                os.write(pipe, marshal.dumps((status, used.ru_utime, used.ru_stime, used.ru_maxrss)))
            os.close(pipe)

    def become_child(self, connection: int, status: int, path: str, variables: dict[str, str]) -> NoReturn:
        """Wait for the call in the new process, make it, and end. Never returns."""
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            self.native.prctl(_DEATH_SIGNAL, self.native.death_signal)
            if os.getppid() == self.pid:
                for fd in (self.wakeup, self.alarm, status, *(pipe for _, pipe in self.children.values())):
                    os.close(fd)
                self.control.close()
                work = socket.socket(fileno=connection)
                try:
                    if variables:
                        os.environ.update(variables)  # libraries read them when they are loaded
                    code = one_call(work, self.native, path)
                except OSError as exc:
                    work.send(marshal.dumps(str(exc)))
        finally:
            os._exit(code)


def one_call(work: socket.socket, native: Native, path: str) -> int:
    """Make the call that the socket asks for, if any; return the exit status."""
    function = native.load(path)
    message, fds, _, _ = socket.recv_fds(work, _MESSAGE, 3)
    if not message:
        return 0
    directory, size, offsets = marshal.loads(message)
    os.dup2(fds[1], 1)
    os.dup2(fds[2], 2)
    os.chdir(directory)
    if isinstance(function, str):
        work.send(marshal.dumps(function))
        return 0
    memory = mmap.mmap(fds[0], size)
    arguments = native.pointers(memory, offsets)
    work.send(b"B")
    status = function(arguments)
    used = resource.getrusage(resource.RUSAGE_SELF)
    work.send(marshal.dumps((status, used.ru_utime, used.ru_stime, used.ru_maxrss)))
    return 0


def main() -> int:
    """Serve on the socket that the first argument names."""
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path += sys.argv[3:]
    try:
        import cffi  # type: ignore[import-untyped]

        native = Native(cffi.FFI())
    except Exception as exc:  # noqa: BLE001  whatever it is, the one who has started this must know
        control.send(f"{type(exc).__name__}: {exc}".encode())
        return 1
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK if hard == resource.RLIM_INFINITY else min(hard, _STACK)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
    server = Server(control, native)
    gc.disable()
    gc.freeze()
    control.send(b"ready")
    server.serve()
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except ConnectionError:
        code = 1  # nobody is left to work for
    finally:
        shutil.rmtree(sys.argv[2], ignore_errors=True)
    sys.exit(code)
