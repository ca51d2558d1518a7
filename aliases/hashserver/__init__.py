"""The reference's import path for the hashserver as an ASGI application: `uvicorn hashserver:app`."""

from seamless.util.aliases import install

install(__name__, {"": ("seamless.services.hashserver.app",)})
