"""What a scrape gets to see: this process's measurements, or those of all workers that share the port."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from app.metrics.prometheus import PrometheusRecorder

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


class _Facts:
    """Gauges that are looked up rather than recorded, so that what is no longer true is gone at once."""

    def __init__(self, gateway_version: str, live: Mapping[str, int | None]) -> None:
        self._gateway_version = gateway_version
        self._live = live

    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            "sportvision_build_info", "1, with the gateway's version.", labels=["version"]
        )
        build.add_metric([self._gateway_version], 1)
        available = GaugeMetricFamily(
            "sportvision_model_available", "Whether a version of the model is live.", labels=["model"]
        )
        versions = GaugeMetricFamily(
            "sportvision_model_version_info", "1 for the version that is live.", labels=["model", "version"]
        )
        for model, version in self._live.items():
            available.add_metric([model], version is not None)
            if version is not None:
                versions.add_metric([model, str(version)], 1)
        return [build, available, versions]


class Exposition:
    """Writes Prometheus' text format.

    It is written in a thread, since thousands of series take some ten milliseconds, and once for all who ask at the
    same time.
    """

    def __init__(self, recorder: PrometheusRecorder, gateway_version: str) -> None:
        self._recorder = recorder
        self._gateway_version = gateway_version
        self._writing: asyncio.Task[bytes] | None = None
        if recorder.shared_folder is None:
            # Memory, CPU time and open files of this process; with several workers it could only be that of one.
            ProcessCollector(registry=recorder.registry)

    async def write(self, live: Mapping[str, int | None]) -> bytes:
        """Write all metrics.

        Args:
            live: For every model its live version, or None where there is none.

        Returns:
            The text, of the media type `CONTENT_TYPE`.
        """
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(asyncio.to_thread(self._write, dict(live)))
        # Shielded: one who goes away must not take the answer from the others.
        return await asyncio.shield(self._writing)

    def _write(self, live: Mapping[str, int | None]) -> bytes:
        facts = CollectorRegistry()
        facts.register(_Facts(self._gateway_version, live))
        return b"".join(map(generate_latest, (self._measured(), facts)))

    def _measured(self) -> CollectorRegistry:
        if self._recorder.shared_folder is None:
            return self._recorder.registry
        _forget_the_dead(Path(self._recorder.shared_folder))
        together = CollectorRegistry()
        MultiProcessCollector(together, path=self._recorder.shared_folder)  # type: ignore[no-untyped-call]
        return together


def _forget_the_dead(folder: Path) -> None:
    """Take the gauges of workers that ended out of the sums. What they counted stays, for counters must not fall."""
    for process in _processes(folder):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]


def _processes(folder: Path) -> Sequence[int]:
    return [int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*.db")]
