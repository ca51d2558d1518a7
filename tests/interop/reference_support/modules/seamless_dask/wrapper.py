"""What our wrapper makes of its parameters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def build_wrapper_configuration(*, host: str, port_range: tuple[int, int], parameters: dict[str, Any]) -> Any:
    """Return what our wrapper makes of parameters, by the names that the tests look at."""
    from seamless.services.dask.parameters import parse_parameters
    from seamless.services.dask.settings import exports, queue_settings

    found = parse_parameters(parameters, ports=port_range)
    where = {"host": host, "port": port_range[0], "dashboard_port": port_range[1]}
    return SimpleNamespace(
        record=found.record,
        cores=found.cores,
        env_exports=exports(found, "slurm"),
        jobqueue_config={system: queue_settings(found, system, **where) for system in ("slurm", "oar")},
    )
