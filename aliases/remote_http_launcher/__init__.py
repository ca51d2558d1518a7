"""The reference's import path for `seamless.launcher`."""

from seamless.util.aliases import install

install(__name__, {"": ("seamless.launcher",)}, {"": {"main": "seamless.cli.launcher:main"}})
