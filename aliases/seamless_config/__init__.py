"""The reference's import paths for `seamless.config`."""

from seamless.util.aliases import install

install(
    __name__,
    {
        "": ("seamless.config",),
        "select": ("seamless.config.selection", "seamless.config.errors"),
        "cluster": ("seamless.config.cluster",),
        "tools": ("seamless.config.services",),
        "extern_clients": ("seamless.config.extern_clients",),
        "config_files": ("seamless.config.files", "seamless.config.selection"),
        "pure_daskserver": ("seamless.config.errors",),
    },
    {
        "cluster": {
            "get_cluster": "seamless.config.selection:get_cluster",
            "get_local_cluster": "seamless.config.selection:get_local_cluster",
        },
        "config_files": {"load_config_files": "seamless.config.api:load"},
    },
)
