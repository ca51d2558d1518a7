"""What is said of compiled code that a signal has ended: which one, what it means, and what to look for."""

from __future__ import annotations

import signal

_MEANING = {
    "SIGSEGV": "it used memory that is not its own: an index beyond the end of an array, a bad pointer, or local "
    "arrays too large for the stack. Build it with compilation.target = 'debug' and options such as -fsanitize=address",
    "SIGBUS": "it used memory that could not be had: most often the machine is out of memory",
    "SIGFPE": "it divided an integer by zero, or overflowed in a division",
    "SIGILL": "it used an instruction that this processor does not have: was it built with -march=native elsewhere? "
    "Or the compiler knew that the code behaves in an undefined way",
    "SIGABRT": "it gave itself up (abort, a failed assertion, an exception or panic that nobody caught)",
    "SIGKILL": "something killed it: most often the machine or the memory limit ran out of memory",
}


def signal_text(number: int) -> str:
    """Return the sentence for a call that signal `number` has ended."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    meaning = _MEANING.get(name)
    return f"the compiled code was killed by {name}" + (f": {meaning}" if meaning else "")
