"""What a scrape of /metrics says."""

import httpx
from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """The samples of one answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.types: dict[str, str] = {}
        self._samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            self.types[family.name] = family.type
            for sample in family.samples:
                self._samples[sample.name, frozenset(sample.labels.items())] = sample.value

    def value(self, name: str, **labels: str) -> float:
        """The value of one sample; 0 where there is none."""
        return self._samples.get((f"sportvision_{name}", frozenset(labels.items())), 0.0)

    def labels(self, name: str) -> list[dict[str, str]]:
        """The labels of every sample of this name."""
        return [dict(labels) for found, labels in self._samples if found == f"sportvision_{name}"]


async def scrape(client: httpx.AsyncClient) -> Scrape:
    """Ask for the metrics, without a token."""
    answer = await client.get("/metrics", headers={"Authorization": ""})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Scrape(answer.text)
