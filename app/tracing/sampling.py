"""Which requests are traced, and what of a caller's words may get into a trace."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

#: FastAPI also offers the path and the query as they came in, the Host header and methods that nobody has heard of.
#: People put secrets into all of these. The route's template says what a trace needs, and is set later on.
_KEPT: Final = frozenset(
    {
        "http.request.method",
        "url.scheme",
        "network.protocol.version",
        "rpc.system.name",
        "rpc.method",
        "sportvision.model",
    }
)


class DiscreetSampler(Sampler):
    """Follows the caller's decision where there is one, else takes a share; keeps attributes of a closed list only.

    A span has no attributes at its start but those that its sampler passes on.

    Args:
        ratio: The share of the requests without a trace of their own that is traced, 0 to 1.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._decides = ParentBased(TraceIdRatioBased(ratio))

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """See `Sampler`."""
        kept = {key: value for key, value in (attributes or {}).items() if key in _KEPT}
        return self._decides.should_sample(parent_context, trace_id, name, kind, kept, links, trace_state)

    def get_description(self) -> str:
        """See `Sampler`."""
        return f"DiscreetSampler{{{self._ratio}}}"
