"""The reference's import path for `seamless.cache.eviction_cost`."""

from seamless.cache.eviction_cost import (
    get_cost,
    override_download_cost,
    record_transformation_cost,
    register_buffer_length,
    register_dependencies,
    set_download_profile,
)

__all__ = [
    "get_cost",
    "override_download_cost",
    "record_transformation_cost",
    "register_buffer_length",
    "register_dependencies",
    "set_download_profile",
]
