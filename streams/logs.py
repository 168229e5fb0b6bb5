"""Logs: one line per event on stderr, for people on a terminal and as JSON elsewhere.

Library logs (faust, aiokafka, transformers) go through the same pipe, from warning upwards.
"""

import logging
import sys

import structlog

from schemas.sections import LogSettings


def configure(settings: LogSettings, **bound: str) -> None:
    """Set up structlog and the standard library's logging.

    Args:
        settings: level and format.
        bound: values that every line of this process carries (the role).
    """
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        # Its default tracebacks show local variables, and passwords are among them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )

    def bind(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**bound, **event}  # not context variables: those do not reach the lane's thread

    shared: list[structlog.typing.Processor] = [
        bind,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final = [structlog.processors.format_exc_info, renderer] if as_json else [renderer]
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    foreign = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(foreign)
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def flush() -> None:
    """Write out what is buffered; before the process ends without Python's own clean-up."""
    logging.shutdown()
    sys.stderr.flush()
