"""Run the gateway: `python -m app`, with its settings in the environment."""

import logging
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from app.main import create_app
from app.settings import Settings


def create_app_from_environment() -> FastAPI:
    """Make the app in each worker process."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s:     %(message)s")
    # Probes ask every few seconds; their lines would bury all others.
    logging.getLogger("uvicorn.access").addFilter(_not_a_probe)
    return create_app(settings)


def _not_a_probe(record: logging.LogRecord) -> bool:
    return not any(path in record.getMessage() for path in (" /healthz ", " /readyz "))


def main() -> None:
    """Serve until told to stop; exit with 2 where a setting is wrong."""
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = "_".join(["SPORTVISION", *(str(part).upper() for part in problem["loc"][:1])])
            print(f"{name}: {problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit(2)
    uvicorn.run(
        "app.__main__:create_app_from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level=settings.log_level,
        # Requests in flight get this long at a stop; a picture takes less.
        timeout_graceful_shutdown=30,
        server_header=False,
    )


if __name__ == "__main__":
    main()
