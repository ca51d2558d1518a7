"""The headers of compiled steps are those of the reference, byte for byte: they are stored and hashed."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

from seamless.transformer.compiled.header import generate_header
from seamless.transformer.compiled.schema import SCALARS, Signature

PROGRAM = """\
import json, sys
from seamless_signature import Signature, generate_header
print(json.dumps([generate_header(Signature.from_dict(document)) for document in json.load(sys.stdin)]))
"""


def dtype(source: random.Random, depth: int = 0) -> Any:
    if depth == 3 or source.random() > 0.25:
        return source.choice(list(SCALARS))
    fields = []
    for i in range(source.randint(1, 3)):
        field = {"name": f"f{i}_{source.choice('abAB')}x", "dtype": dtype(source, depth + 1)}
        if source.random() < 0.4:
            field["shape"] = [source.randint(1, 4) for _ in range(source.randint(1, 3))]
        fields.append(field)
    return {"fields": fields}


def parameter(source: random.Random, number: int) -> dict[str, Any]:
    found = {"name": f"p_{number}q", "dtype": dtype(source)}
    shape: list[Any] = [source.choice("NMKL") for _ in range(source.randint(0, 2))]
    shape += [source.randint(1, 5) for _ in range(source.randint(0, 2))]
    return found | {"shape": shape} if shape else found


def test_a_header_has_the_bytes_that_the_reference_gives_it(reference: Path) -> None:
    source = random.Random(5)
    documents = []
    for _ in range(300):
        inputs, outputs = source.randint(0, 5), source.randint(0, 4)
        parameters = [parameter(source, i) for i in range(inputs + outputs)]
        documents.append({"inputs": parameters[:inputs], "outputs": parameters[inputs:]})
    done = subprocess.run(
        [reference / "python", "-c", PROGRAM], input=json.dumps(documents), capture_output=True, text=True, check=True
    )
    assert [generate_header(Signature.from_dict(document)) for document in documents] == json.loads(done.stdout)
