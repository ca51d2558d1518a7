"""The identities of many command lines, as Seamless 1.4 gives them to the same lines in the same directory."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from seamless.cli.commandline.plan import make_plan
from seamless.cli.common import Messages
from seamless.cli.run_options import parse_options
from seamless.cli.running.command import plan_options
from seamless.cli.running.description import Description
from seamless.cli.running.inputs import hash_inputs

# Words of command lines, and the checksum of their transformation.
IDENTITIES: list[tuple[list[str], str]] = json.loads(Path(__file__).with_name("identities.json").read_text("utf-8"))
FILES = {
    "a.txt": "alpha\nbeta\n",
    "b.txt": "gamma\n",
    "d/x.txt": "one\n",
    "d/sub/y.txt": "two\n",
    "plain": "p\n",
    "a b.txt": "blank\n",
    "it's.txt": "quote\n",
    "e.dir/q.txt": "q\n",
    "-dash.txt": "dash\n",
    "tool.py": "import sys\nprint(open(sys.argv[1]).read())\n",
    "lists/in.lst": "p.txt\nq.txt\n",
    "lists/p.txt": "P\n",
    "lists/q.txt": "Q\n",
    "in.lst": "a.txt\nd\n",
    "0.5": "num\n",
    "UP.TXT": "up\n",
    "ünï.txt": "uni\n",
    "a=b.txt": "eq\n",
    "comma,x.txt": "c\n",
    "v1.2": "v\n",
    "foo.": "dot\n",
    ".hidden": "h\n",
    ".hidden.txt": "h2\n",
    "s.csv": "1,2\n",
    "side.txt.CHECKSUM": hashlib.sha256(b"side\n").hexdigest() + "\n",
    "cs.txt.CHECKSUM": "# c\n\n " + hashlib.sha256(b"side\n").hexdigest() + " \n",
}
SCRIPTS = {
    "script.sh": "#!/bin/bash\nhead -$1 $2\n",
    "bin/tool": '#!/bin/bash\ncat "$@"\n',
    "tool": '#!/bin/bash\ncat "$@"\n',
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a directory called `case`, with files of many names, the current one."""
    root = tmp_path / "case"
    (root / "empty").mkdir(parents=True)
    for name, text in (FILES | SCRIPTS).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name in SCRIPTS:
            path.chmod(0o755)
    (root / "z.txt.gz").write_bytes(gzip.compress(b"zipped\n", mtime=0))
    (root / "link.txt").symlink_to("a.txt")
    (root / "dlink").symlink_to("d")
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def no_warning(_: Any) -> None:
    """Take a warning and do nothing: what the lines are warned of is not the point."""


def test_command_lines_have_the_identities_that_they_have_had_from_the_beginning(place: None) -> None:
    different = {}
    for words, identity in IDENTITIES:
        plan = make_plan(plan_options(parse_options(words)), warn=no_warning)
        found = Description(plan, hash_inputs(plan.inputs, Messages("test", 0))).checksum.hex()
        if found != identity:
            different[" ".join(words)] = plan.code
    assert different == {}
