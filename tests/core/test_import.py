"""What `import seamless` offers."""

import subprocess
import sys

import pytest

import seamless


def test_every_public_name_can_be_had():
    for name in seamless.__all__:
        assert getattr(seamless, name) is not None


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nothing"):
        _ = seamless.nothing


def test_the_public_names_of_the_transformer_storey_can_be_had():
    import seamless.transformer

    for name in seamless.transformer.__all__:
        assert getattr(seamless.transformer, name) is not None


@pytest.mark.parametrize(
    "module",
    [
        "seamless.checksum.calculate_checksum",
        "seamless.checksum.serialize",
        "seamless.checksum.parse_buffer",
        "seamless.checksum.celltypes",
        "seamless.checksum.json_",
        "seamless.checksum.conversion",
        "seamless.util.mixed",
        "seamless.util.mixed.io",
        "seamless.buffer_class",
        "seamless.checksum_class",
        "seamless.util.mount_directory",
        "seamless.util.unchecksum",
        "seamless.compression_utils",
        "seamless.caching.buffer_cache",
        "seamless.caching.buffer_writer",
        "seamless.caching.eviction_cost",
    ],
)
def test_import_paths_of_the_reference_work(module):
    import importlib

    assert importlib.import_module(module)


@pytest.mark.parametrize("statement", ["import seamless", "import seamless; seamless.Buffer; seamless.Checksum"])
def test_the_core_is_imported_without_the_typing_module(statement):
    code = (
        f"{statement}\nimport sys\nprint([m for m in ('typing', 're', 'contextlib', 'tempfile') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
