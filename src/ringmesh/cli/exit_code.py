"""What the commands tell the shell."""

from __future__ import annotations

from enum import IntEnum

from ringmesh.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    RingmeshError,
)


class ExitCode(IntEnum):
    """Exit codes of ``ringmesh``.

    ``NO_ANSWER``, ``REJECTED`` (also busy) and ``NO_MEDIA`` (answered, but no media path was found)
    are outcomes of a call; ``CANNOT_CONNECT`` and ``NOT_AUTHORIZED`` mean that it never began.
    """

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_ANSWER = 3
    REJECTED = 4
    NO_MEDIA = 5
    CANNOT_CONNECT = 6
    NOT_AUTHORIZED = 7
    INTERRUPTED = 130


def exit_code_of(error: RingmeshError) -> ExitCode:
    """The exit code for an error that ends a command."""
    match error:
        case ConfigurationError():
            return ExitCode.USAGE
        case AuthenticationError():
            return ExitCode.NOT_AUTHORIZED
        case ConnectionFailedError():
            return ExitCode.CANNOT_CONNECT
        case _:
            return ExitCode.FAILED
