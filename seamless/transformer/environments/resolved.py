"""The environment that a step asks for, found on this machine; or one message that says what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seamless.transformer.environments.errors import refuse

if TYPE_CHECKING:
    from seamless.transformer.environments.container import Image

_KNOWN = frozenset(("which", "conda", "conda_environment", "powers", "docker"))


@dataclass(frozen=True)
class Resolved:
    """An environment. Without image and prefix, that of this process."""

    image: Image | None = None
    name: str | None = None  # of the conda environment, as it was given
    prefix: str | None = None  # of it; None: only conda itself knows
    which: tuple[str, ...] = ()
    commands: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)  # path and version by name

    def facts(self) -> dict[str, Any]:
        """Return what there is to record."""
        found: dict[str, Any] = {"commands": {name: dict(facts) for name, facts in self.commands.items()}}
        if self.image is not None:
            found["image"] = {"path": self.image.path, "sha256": self.image.sha256, "network": self.image.network}
        if self.name is not None:
            found["conda_prefix"] = self.prefix
        return found


def resolve(environment: Mapping[str, Any] | None, *, activated: bool = False) -> Resolved:
    """Return the environment. Raises UnavailableError; nothing that is asked for is ever ignored.

    `activated`: conda itself is going to activate the environment, so that only it needs to know where that is.
    """
    given = {key: value for key, value in (environment or {}).items() if value}
    for key in sorted(given):
        if key not in _KNOWN:
            refuse(f"the environment asks for {key!r}, which is not known here")
    if "powers" in given:
        refuse(f"the environment asks for powers {given['powers']!r}, and none are offered here")
    which = tuple(given.get("which") or ())
    if "docker" in given:
        if "conda" in given or "conda_environment" in given:
            refuse("the environment asks for a container image and for a conda environment: choose one")
        from seamless.transformer.environments.container import find_image

        image = find_image(given["docker"])
        if not which:
            return Resolved(image=image)
        from seamless.transformer.environments.commands import found_in

        return Resolved(image=image, which=which, commands=found_in(image, which))
    if "conda" in given or "conda_environment" in given:
        return _conda(given, which, activated)
    if which:
        from seamless.transformer.environments.commands import found

        return Resolved(which=which, commands=found(which))
    return Resolved()


def _conda(given: Mapping[str, Any], which: tuple[str, ...], activated: bool) -> Resolved:
    import os

    from seamless.transformer.environments import conda
    from seamless.transformer.environments.commands import found, parse

    name = conda.wanted_name(given)
    assert name is not None
    definition = given.get("conda")
    known = conda.prefix_of(name)
    prefix = known if known is not None or (activated and not definition) else conda.required_prefix(name)
    if prefix is None:
        if any(parse(item).version for item in which):
            prefix = conda.required_prefix(name)
        else:
            return Resolved(name=name, which=which)
    if definition:
        conda.check_definition(definition, prefix, name)
    path = os.pathsep.join([os.path.join(prefix, "bin"), os.environ.get("PATH", os.defpath)])
    return Resolved(name=name, prefix=prefix, which=which, commands=found(which, path) if which else {})
