"""The services that belong to Seamless: what may be started where not everything may."""

from __future__ import annotations

import os

from seamless.launcher.errors import LauncherError

SERVICES = ("hashserver", "seamless-database", "seamless-jobserver", "seamless-dask-wrapper")
_TOOLS_VARIABLE = "RHL_TOOLS_YAML"


def known_services() -> tuple[str, ...]:
    """Return the names of the commands: ours, or those of the table of tools that RHL_TOOLS_YAML names."""
    path = os.environ.get(_TOOLS_VARIABLE)
    return SERVICES if not path else _from_table(path)


def _from_table(path: str) -> tuple[str, ...]:
    """Return the first word of each `command_template` in a YAML file. Raises LauncherError."""
    try:
        import yaml
    except ImportError:
        raise LauncherError(f"reading {path} ({_TOOLS_VARIABLE}) needs the package PyYAML") from None
    try:
        with open(path, encoding="utf-8") as f:
            tools = yaml.safe_load(f)
        templates = [str(tool["command_template"]) for tool in tools.values()]
    except (OSError, yaml.YAMLError, UnicodeError, AttributeError, TypeError, KeyError) as exc:
        raise LauncherError(f"cannot use {path} ({_TOOLS_VARIABLE}) as a table of tools: {exc}") from exc
    return tuple(name for name in (template.partition("{")[0].strip() for template in templates) if name)
