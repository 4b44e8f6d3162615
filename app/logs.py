"""How log records are written: as text for people, or as JSON, one object a line, for log collectors."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal

from opentelemetry.trace import format_trace_id, get_current_span

from accounts.tokens.format import PATTERN as TOKEN_OF_ACCOUNT

#: The id of the request that is being served; every record made meanwhile carries it.
current_request_id: Final[ContextVar[str | None]] = ContextVar("current_request_id", default=None)

_FIELDS: Final = "fields"
_HIDDEN: Final = "[token]"


def fields(**values: object) -> Mapping[str, object]:
    """Make the `extra` of a record: named values that a collector can search for."""
    return {_FIELDS: values}


class _Formatter(logging.Formatter):
    """Writes a record with its fields, and hides every token, known or of their form, wherever it may have got in.

    Nothing of ours logs a token. But a caller may put one where it does not belong, and libraries quote what they
    cannot read.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        super().__init__()
        self._tokens = tuple(tokens)

    def format(self, record: logging.LogRecord) -> str:
        values = dict(getattr(record, _FIELDS, {}))
        request_id = current_request_id.get()
        if request_id is not None:
            values.setdefault("request_id", request_id)
        span = get_current_span().get_span_context()
        if span.is_valid:
            values["trace_id"] = format_trace_id(span.trace_id)
        line = self._line(record, values)
        for token in self._tokens:
            line = line.replace(token, _HIDDEN)
        return TOKEN_OF_ACCOUNT.sub(_HIDDEN, line)

    def _line(self, record: logging.LogRecord, values: Mapping[str, object]) -> str:
        raise NotImplementedError

    def _trace(self, record: logging.LogRecord) -> str:
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return "\n".join(filter(None, (trace, record.stack_info)))


class TextFormatter(_Formatter):
    """`INFO:     message key=value …`, with the traceback, if any, on the lines below."""

    def _line(self, record: logging.LogRecord, values: Mapping[str, object]) -> str:
        pairs = " ".join(f"{name}={value}" for name, value in values.items() if value is not None)
        head = f"{record.levelname + ':':9} {record.getMessage()} {pairs}".rstrip()
        return "\n".join(filter(None, (head, self._trace(record))))


class JsonFormatter(_Formatter):
    """One JSON object: time (RFC 3339, UTC), level, logger, message, the record's fields, and `exception`."""

    def _line(self, record: logging.LogRecord, values: Mapping[str, object]) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        content: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        content |= {name: value for name, value in values.items() if value is not None}
        trace = self._trace(record)
        if trace:
            content["exception"] = trace
        return json.dumps(content, ensure_ascii=False, default=str)


def configure_logging(log_format: Literal["text", "json"], level: str, tokens: Iterable[str]) -> None:
    """Send every record of this process to the standard error output, ours and the libraries', warnings too.

    Args:
        log_format: How records are written.
        level: Records below this one are dropped.
        tokens: What must not be written, wherever it comes from.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((JsonFormatter if log_format == "json" else TextFormatter)(tokens))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
