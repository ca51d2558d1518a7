"""The environment of a command line: what options say, else what the interfaces of its tools want."""

from __future__ import annotations

from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamless.cli.commandline.data import PlanOptions
    from seamless.cli.commandline.interface import Interface


def chosen_environment(options: PlanOptions, interfaces: Sequence[Interface]) -> dict[str, str]:
    """Return "conda_environment" and "docker_image", each only if set; UsageError if the tools do not agree."""
    result: dict[str, str] = {}
    for key, option in (("conda_environment", options.conda), ("docker_image", options.docker)):
        if option:
            result[key] = option
            continue
        for interface in interfaces:
            value = interface.environment.get(key)
            if value is not None and result.setdefault(key, value) != value:
                raise UsageError(
                    f"the tools of the command line want different values of {key}: '{result[key]}' and '{value}'. "
                    f"Choose one with {'--conda' if key == 'conda_environment' else '--docker'}."
                )
    return result
