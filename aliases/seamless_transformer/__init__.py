"""The reference's import paths for `seamless.transformer`."""

from seamless.util.aliases import install

install(
    __name__,
    {
        "": ("seamless.transformer",),
        "transformation_class": ("seamless.transformer",),
        "pretransformation": ("seamless.transformer.pretransformation",),
        "transformer_class": ("seamless.transformer",),
        "transformation_utils": ("seamless.transformer.utilities",),
        "util": ("seamless.transformer.utilities",),
        "worker": ("seamless.transformer.worker",),
        "compiled_transformer": ("seamless.transformer",),
        "languages": ("seamless.transformer.languages",),
        "environment": ("seamless.transformer.environment",),
        "probe_index": ("seamless.transformer.recording.mode",),
        "remote_job": ("seamless.transformer.remote_job",),
        "compression_utils": ("seamless.compression_utils",),
    },
    {"transformation_class": {"running_in_jupyter": "seamless.transformer.blocking:in_notebook"}},
)
