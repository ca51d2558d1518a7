"""The first hashes of a program are made without OpenSSL, and are the same."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from seamless.checksum import Checksum
from seamless.checksum.sha256 import quick
data = [{data}]
found = [Checksum.of(each).hex() for each in data]
print("hashlib" in sys.modules)
import hashlib
assert found == [hashlib.sha256(each).hexdigest() for each in data]
Checksum.of(b"")
assert quick[0] is hashlib.sha256
"""


@pytest.mark.parametrize(
    ("data", "loaded"),
    [
        ("b'', b'abc', bytearray(b'x' * 1000), memoryview(b'abcd').cast('I')", False),
        ("b'x' * 20_000", True),
        ("*[b'x' * 1000] * 20", True),
        ("*[b'x'] * 101", True),
    ],
    ids=["little", "large", "much in all", "many"],
)
def test_openssl_is_loaded_when_there_is_much_to_hash(data, loaded):
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(data=data)], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == f"{loaded}\n"
