"""One tree of errors, grouped by what the caller can do next.

::

    RingmeshError
    ├── ConfigurationError          fix an argument or a setting
    ├── InvalidStateError           the call or connection is not in a state that allows this
    ├── NotSupportedError           this platform or hardware cannot do it
    ├── AuthenticationError         log in again: credentials or token are wrong or expired
    ├── ConnectionFailedError       retry later: the server could not be reached, or went away
    ├── RequestError                the server refused a REST request (status, errors per field)
    ├── ProtocolError               bytes from the other side that break the protocol
    │   ├── StanzaError             not exactly one well-formed, bounded XML element
    │   └── SignalError             an element that is not a valid call signal
    └── MediaError                  a file, device or description the media engine cannot use

Every error carries the data it speaks of as attributes and a stable `code` that programs may
compare; the sentence is built from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class RingmeshError(Exception):
    """Base of every error that Ringmesh raises on purpose."""

    code = "error"


class ConfigurationError(RingmeshError, ValueError):
    """An argument or setting is out of its documented range. Fix it and try again."""

    code = "configuration"


class InvalidStateError(RingmeshError):
    """The object is in a state that does not allow this operation."""

    code = "invalid-state"


class NotSupportedError(RingmeshError):
    """This platform, device or peer cannot do what was asked."""

    code = "not-supported"


class AuthenticationError(RingmeshError):
    """Credentials or token were refused. Trying again with the same ones will not help."""

    code = "not-authorized"


class ConnectionFailedError(RingmeshError, ConnectionError):
    """The server could not be reached, or the connection ended. Trying again later may help."""

    code = "connection-failed"


class RequestError(RingmeshError):
    """The server refused a REST request.

    Attributes:
        status: HTTP status code.
        errors: texts by field name; general ones under ``base``.
    """

    code = "request-refused"

    def __init__(self, status: int, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(status, errors)
        self.status = status
        self.errors = {field: tuple(texts) for field, texts in errors.items()}

    def __str__(self) -> str:
        texts = [
            text if field == "base" else f"{field} {text}"
            for field, field_texts in self.errors.items()
            for text in field_texts
        ]
        return f"{'; '.join(texts) or 'the server gave no reason'} (HTTP {self.status})"


class ProtocolError(RingmeshError):
    """What the other side sent breaks the protocol."""

    code = "protocol"


class StanzaError(ProtocolError):
    """A frame is not exactly one balanced, bounded XML element without DTD, PI or comment."""

    code = "not-well-formed"


class SignalError(ProtocolError):
    """An element claims to be a call signal but is not a valid one."""

    code = "invalid-signal"


class MediaError(RingmeshError):
    """A file, device, frame or session description that the media engine cannot use."""

    code = "media"
