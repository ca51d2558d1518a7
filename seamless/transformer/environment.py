"""Environment: what a step needs around it. Never part of its identity; checked before it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


class Environment:
    """Commands, conda environment, container image of a transformer. Setting None clears an item."""

    def __init__(self, lowlevel: Mapping[str, Any] | None = None) -> None:
        self._items: dict[str, Any] = dict(lowlevel or {})

    def _set(self, key: str, value: Any) -> None:
        if value is None:
            self._items.pop(key, None)
        else:
            self._items[key] = value

    def set_conda(self, conda: Any) -> None:
        """Set the conda environment definition: YAML text, a path or an open file. TypeError, ValueError."""
        if conda is None:
            return self._set("conda", None)
        if hasattr(conda, "read"):
            text = conda.read()
        elif isinstance(conda, os.PathLike) or (isinstance(conda, str) and "\n" not in conda and os.path.exists(conda)):
            with open(conda) as f:
                text = f.read()
        else:
            text = conda
        if not isinstance(text, str):
            raise TypeError(f"a conda environment is YAML text, a path or a file, not {type(conda).__name__}")
        import yaml

        definition = yaml.safe_load(text)
        if not isinstance(definition, dict):
            raise TypeError("a conda environment is a YAML mapping with 'dependencies'")
        if "dependencies" not in definition:
            raise ValueError("the conda environment has no 'dependencies'")
        return self._set("conda", definition)

    def get_conda(self) -> str | None:
        """Return the conda environment definition as YAML text."""
        definition = self._items.get("conda")
        if definition is None:
            return None
        import yaml

        return str(yaml.safe_dump(definition, sort_keys=False))

    def set_conda_env(self, name: str | None) -> None:
        """Set the name of an existing conda environment."""
        self._set("conda_environment", name)

    def get_conda_env(self) -> str | None:
        """Return the name of the conda environment."""
        return self._items.get("conda_environment")

    def set_which(self, which: list[str] | None) -> None:
        """Set the commands that must be on PATH. TypeError unless a list of str."""
        if which is not None and not (isinstance(which, (list, tuple)) and all(isinstance(w, str) for w in which)):
            raise TypeError("'which' is a list of command names")
        self._set("which", None if which is None else list(which))

    def get_which(self) -> list[str] | None:
        """Return the commands that must be on PATH."""
        return self._items.get("which")

    def set_powers(self, powers: dict[str, Any] | None) -> None:
        """Set what the step may do (free-form, recorded)."""
        self._set("powers", powers)

    def get_powers(self) -> dict[str, Any] | None:
        """Return what the step may do."""
        return self._items.get("powers")

    def set_docker(self, docker: dict[str, Any] | None) -> None:
        """Set the container image: a dict with `name`. ValueError without one."""
        if docker is not None and "name" not in docker:
            raise ValueError("a docker environment needs 'name': the image")
        self._set("docker", docker)

    def get_docker(self) -> dict[str, Any] | None:
        """Return the container image."""
        return self._items.get("docker")

    def _to_lowlevel(self) -> dict[str, Any] | None:
        """Return the form whose buffer is `__env__`, or None if nothing is set."""
        return dict(self._items) or None

    def _save(self) -> dict[str, Any] | None:
        return self._to_lowlevel()

    def _load(self, state: Mapping[str, Any] | None) -> None:
        self._items = dict(state or {})

    def copy(self) -> Environment:
        """Return an independent copy."""
        return Environment(self._items)
