"""Buffer: bytes with a checksum."""

import asyncio
import pickle

import pytest

from seamless import Buffer, CacheMissError, Checksum


def test_wraps_bytes_and_serialises_values():
    assert Buffer(b"abc").content == b"abc"
    assert Buffer([1, 2], "plain").content == b"[\n  1,\n  2\n]\n"
    assert Buffer(Buffer(b"abc")).content == b"abc"


@pytest.mark.parametrize("value", ["text", bytearray(b"x"), memoryview(b"x"), None, 5])
def test_refuses_other_values_without_a_celltype(value):
    with pytest.raises(TypeError):
        Buffer(value)


def test_a_false_checksum_is_refused_and_never_registered():
    claimed = Checksum.of(b"good")
    with pytest.raises(ValueError, match="not"):
        Buffer(b"evil", checksum=claimed)
    with pytest.raises(CacheMissError):
        claimed.resolve()


def test_a_true_checksum_is_accepted():
    assert Buffer(b"good", checksum=Checksum.of(b"good")).checksum == Checksum.of(b"good")


def test_checksum_property_is_lazy():
    buffer = Buffer(b"abc")
    with pytest.raises(AttributeError):
        _ = buffer.checksum
    assert buffer.get_checksum() == buffer.checksum


def test_equality_compares_content_without_hashing_and_never_raises():
    assert Buffer(b"abc") == Buffer(b"abc")
    assert Buffer(b"abc") != Buffer(b"abd")
    assert Buffer(b"abc") != b"abc"
    assert len({Buffer(b"abc"), Buffer(b"abc")}) == 1


def test_value_mutated_between_two_serialisations_gives_the_new_bytes():
    value = [1, 2]
    first = Buffer(value, "plain")
    value.append(3)
    assert Buffer(value, "plain").content != first.content


def test_resolves_from_its_checksum_while_it_lives():
    buffer = Buffer(b"while I live")
    checksum = buffer.get_checksum()
    assert checksum.resolve() is buffer
    del buffer
    with pytest.raises(CacheMissError) as info:
        checksum.resolve()
    assert info.value.args[0] == checksum


@pytest.mark.parametrize("content", [b"", b"{}", b"{}\n", b"[]", b"[]\n"])
def test_trivial_buffers_always_resolve(content):
    checksum = Checksum.of(content)
    assert checksum.resolve().content == content
    assert asyncio.run(checksum.resolution()).content == content


def test_resolve_with_a_celltype_gives_a_fresh_value():
    buffer = Buffer({"a": 1}, "plain")
    checksum = buffer.get_checksum()
    value = checksum.resolve("plain")
    value["a"] = 2
    assert checksum.resolve("plain") == {"a": 1}


def test_bad_celltype_is_a_type_error():
    buffer = Buffer(b"1\n")
    with pytest.raises(TypeError):
        buffer.get_checksum().resolve("cson")


def test_get_value_async_needs_no_previous_hash():
    async def main():
        return await Buffer(b"5\n").get_value_async("int")

    assert asyncio.run(main()) == 5


def test_from_async_takes_a_checksum_as_value():
    checksum = Checksum.of(b"x")

    async def main():
        return await Buffer.from_async(checksum, "checksum")

    assert asyncio.run(main()).content == f'"{checksum}"\n'.encode()


def test_a_checksum_is_no_value_for_the_constructor():
    with pytest.raises(TypeError):
        Buffer(Checksum.of(b"x"), "plain")


def test_pickles_and_converts_to_bytes():
    buffer = Buffer(b"abc")
    assert pickle.loads(pickle.dumps(buffer)) == buffer
    assert bytes(buffer) == b"abc"
    assert len(buffer) == 3
    assert buffer.decode() == "abc"


def test_load_and_save(tmp_path):
    Buffer(b"abc").save(tmp_path / "f")
    assert Buffer.load(tmp_path / "f") == Buffer(b"abc")


def test_repr_names_the_checksum_only_when_known():
    buffer = Buffer(b"abc")
    assert repr(buffer) == "Seamless Buffer, length 3"
    buffer.get_checksum()
    assert repr(buffer) == f"Seamless Buffer, checksum {buffer.checksum}, length 3"


def test_write_without_a_store_is_false():
    assert Buffer(b"abc").write_sync() is False
    assert asyncio.run(Buffer(b"abc").write()) is False


def test_bytes_of_a_subclass_are_taken_as_plain_bytes():
    class Odd(bytes):
        pass

    assert type(Buffer(Odd(b"a")).content) is bytes
