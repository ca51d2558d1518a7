"""The reference's import paths for `seamless.remote`."""

from seamless.util.aliases import install

install(
    __name__,
    {
        "": (),
        "client": ("seamless.remote.client",),
        "buffer_client": ("seamless.remote.buffer_client", "seamless.remote.launched"),
        "buffer_remote": ("seamless.remote.buffer_remote",),
        "database_client": ("seamless.remote.database_client", "seamless.remote.launched"),
        "database_remote": ("seamless.remote.database_remote",),
    },
    {"buffer_client": {"BufferClient": "seamless.remote.buffer_client:HashserverClient"}},
)
