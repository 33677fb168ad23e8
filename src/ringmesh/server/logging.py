"""Log lines: structured, on standard error, without secrets, safe to look at in a terminal."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from ringmesh.server.settings import LogFormat, LogLevel

MAX_TEXT = 500
"""Characters that a value in a log line may have."""

_SECRET_NAMES = re.compile(
    r"token|password|passwd|secret|credential|auth_key|signature|authorization|cookie|sdp", re.I
)
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def configure_logging(log_format: LogFormat, level: LogLevel) -> None:
    """Configure the process's logging; the standard library's loggers write the same lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        conceal,
        sanitise,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    render: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format is LogFormat.JSON
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # The last four show headers and addresses: tokens.
    for name in ("uvicorn.error", "alembic", "sqlalchemy", "hpack", "h2", "httpcore2", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)


def configure_unless_configured() -> None:
    """Give an application that has not configured structlog lines that are safe, by way of the
    standard library's loggers. structlog's own default shows the variables of every function in a
    traceback, passwords among them."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            conceal,
            sanitise,
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def conceal(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Blank out values whose name says that they are secret."""
    for name in event:
        if _SECRET_NAMES.search(name):
            event[name] = "(concealed)"
    return event


def sanitise(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Make text from elsewhere harmless: no control characters, no endless values."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value)
    return event


def printable(text: str) -> str:
    """Text without control and direction characters, cut to `MAX_TEXT`."""
    cut = text[:MAX_TEXT] + ("…" if len(text) > MAX_TEXT else "")
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", cut)
