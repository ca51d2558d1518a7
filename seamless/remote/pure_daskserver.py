"""The daskserver without stores (`persistent: false`), for programs that use Dask themselves."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def get_client() -> Any:
    """Return the `distributed.Client` of the selected queue; it is also the default one. Blocks; raises StoreError."""
    from seamless.remote import daskserver_remote

    return daskserver_remote.client().client
