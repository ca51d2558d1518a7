"""`--lenient`, and redirections whose name only bash knows."""

import pytest

from seamless.cli.commandline.plan import PlanOptions, make_plan
from seamless.errors import UsageError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("1\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("word", ["-k1.2", "--file=b.txt", "http://x.org/y.html", "'{printf \"%.2f\"}'"])
def test_a_word_that_cannot_be_a_file_name_is_text_when_lenient_and_refused_with_advice_otherwise(word):
    command = [f"sort {word} a.txt"]
    assert [i.name for i in make_plan(PlanOptions(command, lenient=True)).inputs] == ["a.txt"]
    with pytest.raises(UsageError, match="--lenient"):
        make_plan(PlanOptions(command))


def test_a_missing_file_is_refused_also_when_lenient():
    with pytest.raises(UsageError, match=r"b\.txt") as info:
        make_plan(PlanOptions(["cat b.txt"], lenient=True))
    assert "--lenient" not in str(info.value)


def test_a_redirection_that_only_bash_knows_is_left_alone_when_the_results_are_named():
    line = "mkdir d; for i in 1 2; do echo $i > d/$i; done"
    assert [t.name for t in make_plan(PlanOptions([line], captures=["d"])).targets] == ["d"]
    with pytest.raises(UsageError, match="must be known before"):
        make_plan(PlanOptions([line]))


def test_a_redirection_into_a_directory_that_is_a_result_is_part_of_it():
    plan = make_plan(PlanOptions(["mkdir d; echo 2 > d/y"], captures=["d"]))
    assert [t.name for t in plan.targets] == ["d"]
    assert plan.code == "mkdir -p RESULT/\nmkdir d; echo 2 > d/y\nmv d RESULT/\n"
