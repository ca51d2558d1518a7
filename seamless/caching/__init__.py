"""The reference's import paths for `seamless.cache`."""
