"""Where a program is: on PATH, or beside the Python that runs this; and how a module of ours is run as one."""

from __future__ import annotations

import os
import sys

# The place of the package, a directory or the single file, is its first argument: no setting of the user matters.
_RUN_MODULE = """\
import runpy, sys
sys.path.insert(0, sys.argv[1])
module = sys.argv[2]
del sys.argv[1:3]
runpy.run_module(module, run_name="__main__")
"""


def module_command(module: str) -> list[str]:
    """Return the words that run a module of the launcher as a program of its own, with this Python."""
    root = os.path.abspath(__file__)
    for _ in __name__.split("."):
        root = os.path.dirname(root)
    return [sys.executable, "-I", "-S", "-c", _RUN_MODULE, root, module]


def find_program(name: str) -> str | None:
    """Return the absolute path of a program: a path as it is, else on PATH, else beside this Python."""
    if "/" in name:
        places = [os.path.abspath(name)]
    else:
        directories = os.environ.get("PATH", os.defpath).split(os.pathsep)
        places = [os.path.join(directory, name) for directory in directories if directory]
        places.append(os.path.join(os.path.dirname(os.path.abspath(sys.executable)), name))
    for place in places:
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return os.path.abspath(place)
    return None
