"""What can go wrong between a client and a service, as small named errors that say which service and what to do.

StoreError
  RemoteError                 .service, .url
    TransportError            not reached, or the answer is cut off or is not HTTP; worth another attempt
    RefusedError              the service has answered with an error; .status
      UnauthorizedError       ... because it does not accept the token
  ReadOnlyClientError         (AttributeError) a write through a client that only reads
UsageError
  RemoteUsageError            (ValueError) a client that cannot be defined or activated so
"""

from __future__ import annotations

from seamless.errors import StoreError, StoreFullError, StoreReadOnlyError, UsageError

TRANSIENT = frozenset({502, 503, 504})
_SHOWN = 300  # characters of an answer that a message repeats


class RemoteError(StoreError):
    """A service cannot be used."""

    retry = False  # whether another attempt may succeed

    def __init__(self, text: str, *, service: str = "service", url: str = ""):
        super().__init__(text)
        self.service, self.url = service, url


class TransportError(RemoteError):
    """The service was not reached, or its answer is cut off or is not HTTP."""

    retry = True  # unless the same is sure to happen again
    stale = False  # whether a connection that had been used before was closed without a word: a new one may do


class RefusedError(RemoteError):
    """The service has answered with an error status."""

    def __init__(self, text: str, *, status: int, service: str = "service", url: str = ""):
        super().__init__(text, service=service, url=url)
        self.status = status
        self.retry = status in TRANSIENT


class UnauthorizedError(RefusedError):
    """The service does not accept the token, or wants one."""


class ReadOnlyClientError(StoreReadOnlyError, AttributeError):
    """A write through a client that only reads."""


class RemoteUsageError(UsageError, ValueError):
    """A client that cannot be defined or activated so. The text is the complete message."""


def refusal(service: str, url: str, status: int, body: bytes, *, has_token: bool = False) -> StoreError:
    """Return the error for an answer that is not one of those expected."""
    text = " ".join(body.decode("utf-8", "replace").split())
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    said = f"{status}: {text}" if text else str(status)
    if status == 401:
        if has_token:
            what = "does not accept the token; it may be that of an earlier start of the service: launch it again"
        else:
            what = "wants a token; launch the service through Seamless, or give the client the token"
        return UnauthorizedError(f"the {service} {url} {what} ({said})", status=status, service=service, url=url)
    if status == 507:
        return StoreFullError(f"the {service} {url} has no space left ({said}); free some there and try again")
    if status == 405:
        return StoreReadOnlyError(f"the {service} {url} may only be read ({said}); start it with --writable")
    if status == 413:
        advice = "; raise its limit (--max-body)"
    elif status in TRANSIENT:
        advice = "; it is not ready or overloaded: try again, or look into its log"
    elif status >= 500:
        advice = "; look into its log"
    elif status == 404:
        advice = f"; is there a {service} at this address?"
    else:
        advice = ""
    return RefusedError(f"the {service} {url} answers {said}{advice}", status=status, service=service, url=url)
