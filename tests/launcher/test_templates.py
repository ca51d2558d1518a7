"""Templates: what they can say, and that nothing else is possible."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.launcher.templates import TemplateError, evaluate

CONFIG: dict[str, Any] = {"network_interface": "0.0.0.0", "workers": 3, "port_start": 1, "workdir": "/a/b/"}
NAMES = {**CONFIG, "config": CONFIG, "status_file": "/s.json"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{x}}", "{x}"),
        ("{workdir}", "/a/b/"),
        ("{workers + 1}", "4"),
        ("{workers:03d}", "003"),
        ("{workdir!r}", "'/a/b/'"),
        ('{workdir.strip("/").replace(\'/\', "--")}', "a--b"),
        (
            "{' --host ' + config.get('network_interface') if config.get('network_interface') else ''}",
            " --host 0.0.0.0",
        ),
        ("{' --x ' + config['x'] if 'x' in config else ''}", ""),
        ("{'{} {}'.format(port_start, workers)}", "1 3"),
        ("{'{b}{0:02d}{{}}'.format(port_start, b='B')}", "B01{}"),
        ("{', '.join([workdir, 'c'])}", "/a/b/, c"),
        ("{f'{workers}-{status_file}'}", "3-/s.json"),
        ("{workers != 3 or 1 < workers <= 3}", "True"),
        ("{not workers}", "False"),
        ("{'x' not in config and workers is not None}", "True"),
        ("{workdir[1:2]}{workdir[-1]}", "a/"),
        ("{None}", "None"),
        ("{config.get('nope', 'd')}", "d"),
        ("{ workers }", "3"),
    ],
)
def test_a_template_has_the_value_of_an_f_string(template: str, expected: str) -> None:
    assert evaluate(template, NAMES) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{().__class__.__base__.__subclasses__()}",
        "{workdir.__class__}",
        "{'{0.__class__}'.format(workdir)}",
        "{'{0[0]}'.format(workdir)}",
        "{__builtins__}",
        "{open('/etc/passwd')}",
        "{config.pop('workers')}",
        "{config.get.__self__}",
        "{[x for x in workdir]}",
        "{(lambda: 1)()}",
        "{(x := 1)}",
        "{workdir * 10}",
        "{9 ** 9}",
        "{workdir.encode()}",
        "{'a'.format_map(config)}",
        "{'{}'.format(*workdir)}",
        "{'{}'.format(**config)}",
        "{workdir:{workers}}",
        "{workers:99999}",
        "{workdir.upper}",
        "{workdir)(workers}",
        "{workers\n)+(1}",
        "{'a'.replace('a', 'b', 'c')}",
        "{'x'.replace('x', 'y' 'z').zfill(10000000)}",
        "{nope}",
        "{workdir",
        "workdir}",
        "{}",
        "{workdir!x}",
        "{workdir!}",
        "{'{1}'.format(1)}",
        "{config['nope']}",
        "{1 + 'a'}",
    ],
)
def test_what_is_not_allowed_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        evaluate(template, NAMES)


def test_a_template_cannot_grow_without_bounds() -> None:
    bomb = "'xx'" + ".replace('x', 'xxxxxxxxxx')" * 20
    with pytest.raises(TemplateError, match="more than"):
        evaluate("{" + bomb + "}", NAMES)


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    with pytest.raises(TemplateError):
        evaluate("{" + "(" * 500 + "1" + ")" * 500 + "}", NAMES)


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(TemplateError, match="name 'x' is not defined; there are: .*workdir"):
        evaluate("{x}", NAMES)


@given(st.text())
def test_escaped_text_stands_for_itself(text: str) -> None:
    assert evaluate(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text(alphabet="{}()[]'\"!:=.,+-*\\ abc0123\n"))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        evaluate(text, {"a": "x", "b": 1, "c": {"a": 1}})
    except TemplateError:
        pass
