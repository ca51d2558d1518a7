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
        "jobserver_client": ("seamless.remote.jobserver_client", "seamless.remote.jobserver_launched"),
        "jobserver_remote": ("seamless.remote.jobserver_remote",),
        "daskserver_remote": ("seamless.remote.daskserver_remote",),
    },
    {
        "client": {"ClientRestartRequiredError": "seamless.remote.errors:TransportError"},
        "buffer_client": {"BufferClient": "seamless.remote.buffer_client:HashserverClient"},
    },
)
