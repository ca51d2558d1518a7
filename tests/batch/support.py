"""Fifty steps for jobs, each of which notes in a directory that all see when it is executed and when it has finished."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(os.sys.executable).parent  # type: ignore[attr-defined]
