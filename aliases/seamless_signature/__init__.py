"""The reference's import paths for the signatures of compiled steps."""

from seamless.util.aliases import install

SCHEMA = "seamless.transformer.compiled.schema"
HEADER = "seamless.transformer.compiled.header"

install(
    __name__,
    {"": (SCHEMA, HEADER), "schema": (SCHEMA,), "dtype": (SCHEMA,), "loader": (SCHEMA,), "c_header": (HEADER,)},
)
