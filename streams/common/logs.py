r"""Logs: one line per event on stderr, for people on a terminal, as JSON elsewhere.

Logs of libraries (faust, aiokafka, transformers) take the same way, from warnings up.

Hazard: values and tracebacks may contain a client's text, so control characters are
escaped (`\x1b`) and cannot control the terminal.
"""

import io
import logging
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import structlog

from schemas.printable import json_text, one_line, visible
from schemas.settings.sections import LogSettings

_SEVERAL_LINES = ("exception", "stack")
"""Values that the console shows below the event, on lines of their own."""


def configure(settings: LogSettings, **bound: str) -> None:
    """Set up structlog and the standard library's logging.

    Args:
        settings: level and format.
        bound: values in every line of this process (the role).
    """
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())

    def bind(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        # Not context variables, which do not reach the lane's thread.
        return {**bound, **event}

    shared: list[structlog.typing.Processor] = [
        bind,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final = _json_renderers() if as_json else _console_renderers()
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _catch_libraries(level, shared, final)


def _json_renderers() -> list[structlog.typing.Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=json_text),
    ]


def _console_renderers() -> list[structlog.typing.Processor]:
    # Its default tracebacks show local variables, and passwords are among them.
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=_write_traceback
    )
    return [_shown, renderer]


def _catch_libraries(
    level: int,
    shared: Sequence[structlog.typing.Processor],
    final: Sequence[structlog.typing.Processor],
) -> None:
    """Send what libraries log the same way, from warnings up."""
    foreign = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(foreign)
    # By force, since a library may have set up handlers of its own at its import.
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    # A warning of Python may quote a client's text, which must be escaped too.
    logging.captureWarnings(capture=True)


def flush() -> None:
    """Flush the logs; needed before the process ends without Python's own clean-up."""
    # os._exit runs no handlers at exit.
    logging.shutdown()
    sys.stderr.flush()


def _shown(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape every value for the console; _write_traceback escapes `exc_info`."""
    shown: dict[str, Any] = {}
    for name, value in event.items():
        shown[name] = value if name == "exc_info" else _value(name, value)
    return shown


def _value(name: str, value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return visible(text) if name in _SEVERAL_LINES else one_line(text)


def _write_traceback(stream: TextIO, exc_info: Any) -> None:
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    stream.write(visible(written.getvalue()))
