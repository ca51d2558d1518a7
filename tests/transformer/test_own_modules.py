"""Modules of the user that a step imports without a declaration are pointed at."""

import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from seamless.transformer import delayed
from seamless.transformer.own_modules import UndeclaredModuleWarning, own_imports


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A directory of the user, to be imported from."""
    (tmp_path / "helpers_of_mine.py").write_text("def triple(x):\n    return 3 * x\n")
    (tmp_path / "pack_of_mine").mkdir()
    (tmp_path / "pack_of_mine" / "__init__.py").write_text("")
    (tmp_path / "data_of_mine").mkdir()  # no package
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "installed_of_mine.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    yield tmp_path
    for name in ("helpers_of_mine", "pack_of_mine"):
        sys.modules.pop(name, None)


def names(source, declared=()):
    return [(item.name, item.line) for item in own_imports(source, declared)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import helpers_of_mine", [("helpers_of_mine", 1)]),
        ("x = 1\nfrom helpers_of_mine import triple", [("helpers_of_mine", 2)]),
        ("if x:\n    import pack_of_mine.sub as s\n    from pack_of_mine import t", [("pack_of_mine", 2)]),
        ("import os, json.decoder, installed_of_mine, data_of_mine, nowhere_at_all, seamless, pytest", []),
        ("from . import helpers_of_mine", []),
        ("text = 'import helpers_of_mine'", []),
        ("y = 1", []),
    ],
)
def test_what_counts_is_what_stands_in_files_of_the_user(source, found, own):
    assert names(source) == found


def test_what_is_declared_does_not_count(own):
    assert names("import helpers_of_mine", {"helpers_of_mine"}) == []


def test_a_loaded_module_counts_by_its_file(own, monkeypatch):
    module = ModuleType("loaded_of_mine")
    monkeypatch.setitem(sys.modules, "loaded_of_mine", module)
    assert names("import loaded_of_mine") == []
    module.__file__ = str(own / "loaded_of_mine.py")
    assert names("import loaded_of_mine") == [("loaded_of_mine", 1)]
    module.__file__ = str(own / "loaded_of_mine.so")
    assert names("import loaded_of_mine") == []


def test_the_warning_names_the_line_the_file_and_the_declaration(own):
    @delayed
    def step(x):
        from helpers_of_mine import triple

        return triple(x)

    with pytest.warns(UndeclaredModuleWarning) as caught:
        assert step(2).run() == 6
    (warning,) = caught
    assert warning.filename == __file__
    assert Path(__file__).read_text().splitlines()[warning.lineno - 1].strip() == "from helpers_of_mine import triple"
    assert str(warning.message) == (
        f"the step 'step' imports 'helpers_of_mine' ({own}/helpers_of_mine.py), which is not part of it: after an edit "
        "of that file the old result is still given. Declare it: step.modules.helpers_of_mine = helpers_of_mine"
    )


def test_after_the_declaration_there_is_no_warning(own):
    import helpers_of_mine

    @delayed
    def step(x):
        from helpers_of_mine import triple

        return triple(x)

    step.modules.helpers_of_mine = helpers_of_mine
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert step(3).run() == 9


def test_code_as_text_is_looked_at_too(own):
    step = delayed("import pack_of_mine\nresult = 1", "python")
    with pytest.warns(UndeclaredModuleWarning, match="pack_of_mine") as caught:
        assert step().run() == 1
    assert caught[0].lineno == 1
