"""The hashserver: buffers by checksum over HTTP, on the directories of `seamless.stores`.

As an ASGI application: `seamless.services.hashserver.app:app`, configured by `HASHSERVER_*` variables.
"""
