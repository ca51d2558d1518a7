"""Where a program is: on PATH, or beside the Python that runs this."""

from __future__ import annotations

import os
import sys


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
