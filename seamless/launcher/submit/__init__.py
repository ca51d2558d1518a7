"""Commands of a batch system for a service in an image: called inside, executed outside, by a process beside it.

What is executed outside is decided by one list of names; nothing is ever seen by a shell.
"""

from __future__ import annotations

PROGRAMS = ("sbatch", "squeue", "scancel", "sinfo", "sacct", "oarsub", "oarstat", "oardel")
SOCKET_VARIABLE = "SEAMLESS_SUBMIT_SOCKET"
SHIM_DIRECTORY = "/opt/seamless/submit"  # in an image: what is called there
NOT_FOUND, REFUSED = 127, 126  # exit statuses
