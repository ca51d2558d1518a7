"""The Checksum value and `.CHECKSUM` files."""

import copy
import hashlib
import pickle

import pytest

from seamless import Checksum

HEX = hashlib.sha256(b"x").hexdigest()


def test_equals_its_hex_in_any_case_and_its_raw_bytes():
    checksum = Checksum(HEX)
    assert checksum == HEX
    assert checksum == HEX.upper()
    assert checksum == bytes.fromhex(HEX)
    assert checksum != "f" * 64


@pytest.mark.parametrize("other", [None, [], {}, "xyz", 5, 2.5, object(), b"short"])
def test_comparison_with_anything_else_is_false_and_never_raises(other):
    assert not (Checksum(HEX) == other)
    assert Checksum(HEX) != other
    assert Checksum(HEX) not in [other]


def test_comparison_with_booleans_is_truthiness():
    checksum = Checksum(HEX)
    assert checksum == True  # noqa: E712
    assert not (checksum == False)  # noqa: E712


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("0x" + HEX[2:], ValueError),
        ("zz" * 32, ValueError),
        (HEX[:-2], ValueError),
        (b"1" * 64, ValueError),
        (b"1" * 31, ValueError),
        (None, TypeError),
        (1, TypeError),
        (bytearray(32), TypeError),
    ],
)
def test_construction_refuses_what_is_no_checksum(value, error):
    with pytest.raises(error):
        Checksum(value)


def test_trailing_newline_and_upper_case_are_accepted():
    assert Checksum(HEX.upper() + "\n").hex() == HEX


def test_is_an_immutable_value():
    checksum = Checksum(HEX)
    with pytest.raises(AttributeError):
        checksum.other = 1
    with pytest.raises(AttributeError):
        checksum._digest = bytes(32)
    assert pickle.loads(pickle.dumps(checksum)) == checksum
    assert copy.deepcopy(checksum) is checksum
    assert len({checksum, Checksum(HEX)}) == 1


def test_representation_is_the_hex_in_quotes():
    assert str(Checksum(HEX)) == HEX
    assert repr(Checksum(HEX)) == repr(HEX)
    assert Checksum.__module__ == "seamless"


def test_order_is_that_of_the_digest():
    low, high = Checksum("0" * 64), Checksum("f" * 64)
    assert low < high
    assert low <= high
    assert high > low.hex()
    assert sorted([high, low]) == [low, high]
    with pytest.raises(TypeError):
        assert low < 5


def test_save_writes_65_bytes_and_load_reads_them_back(tmp_path):
    checksum = Checksum(HEX)
    checksum.save(tmp_path / "f")
    assert (tmp_path / "f.CHECKSUM").read_bytes() == HEX.encode() + b"\n"
    assert Checksum.load(tmp_path / "f") == checksum
    assert Checksum.load(str(tmp_path / "f.CHECKSUM")) == checksum


@pytest.mark.parametrize("text", ["\n" + HEX, HEX + "\n" + HEX, f'"{HEX}"', "garbage", ""])
def test_load_refuses_a_file_that_is_not_exactly_one_checksum(tmp_path, text):
    (tmp_path / "f.CHECKSUM").write_text(text)
    with pytest.raises(ValueError, match="SHA-256"):
        Checksum.load(tmp_path / "f")


def test_load_of_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        Checksum.load(tmp_path / "nothing")
