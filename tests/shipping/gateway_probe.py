"""Runs inside a copy of the image's content: imports the gateway and asks it for its health and its API.

Started by test_image_content.py with ``python -I -S``, the image's folders as arguments. Prints what it saw as JSON.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any


async def ask(app: Any, path: str, state: dict[str, Any]) -> int:
    """Return the status that an ASGI app answers a GET with."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
        "state": state,
    }
    await app(scope, receive, send)
    return statuses[0]


async def main() -> None:
    """Bring the gateway up as ``python -m app`` does, but without a socket."""
    from pydantic import SecretStr

    import app.__main__  # noqa: F401 - what the image starts
    from app.main import create_app
    from app.settings import Settings

    # Nothing is asked of the model server here, and no server is there. Accounts are on, so that all is imported.
    folder = tempfile.mkdtemp()
    settings = Settings(
        tokens=(SecretStr("a-token-for-the-probe"),),
        model_server="127.0.0.1:1",
        secret_key=SecretStr("a-secret-key-for-the-probe-of-the-image"),
        database_url=SecretStr(f"sqlite:///{folder}/accounts.sqlite3"),
        mail_folder=Path(folder) / "mails",
    )
    gateway = create_app(settings)
    async with gateway.router.lifespan_context(gateway) as state:
        statuses = {
            path: await ask(gateway, path, dict(state or {})) for path in ("/healthz", "/openapi.json")
        }
    shutil.rmtree(folder)
    tops = sorted({name.split(".")[0] for name in sys.modules} - sys.stdlib_module_names)
    print(json.dumps({"statuses": statuses, "modules": tops}))


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:]
    asyncio.run(main())
