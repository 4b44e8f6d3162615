"""Small catalogues and dumps for the tests of this folder."""

import json
from pathlib import Path
from typing import Any


def sport(slug: str, /, **fields: Any) -> dict[str, Any]:
    """Return a sport as it stands in a catalogue file, sound unless the fields say otherwise."""
    return {
        "id": "10001",
        "slug": slug,
        "name": slug.replace("-", " ").capitalize(),
        "parent": None,
        "group": "snow",
        "environment": "outdoor",
        "participation": "single",
        "id_source": "sportvision",
        **fields,
    }


def document(*sports: dict[str, Any]) -> dict[str, Any]:
    """Return a catalogue document with one group."""
    return {"groups": [{"id": "1", "slug": "snow", "name": "Snow"}], "sports": list(sports)}


def resource(sport_id: str | int, slug: str, name: str) -> dict[str, Any]:
    """Return a sport as the Sports API writes it."""
    return {
        "id": sport_id,
        "type": "sport",
        "attributes": {"name": name, "description": None, "parent_id": None, "slug": slug, "locale": "en"},
        "relationships": {"parent": {"data": None}},
    }


def write_json(path: Path, value: object) -> Path:
    """Write a JSON file, with the folders above it, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
