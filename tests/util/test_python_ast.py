"""Parsing Python in many threads at once."""

import threading

import pytest

from seamless.util.python_ast import python_tree


def test_threads_that_parse_at_once_all_succeed():
    source = "x = " + "(" * 60 + "1" + ")" * 60 + "\n" + "y = [a + b * c for a in z if a]\n" * 50
    failures = []

    def work():
        for _ in range(30):
            try:
                python_tree(source)
            except SystemError as exc:
                failures.append(exc)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_mistake_is_a_syntax_error():
    with pytest.raises(SyntaxError):
        python_tree("def f(:")
