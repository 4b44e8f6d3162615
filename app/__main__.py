"""Run the gateway: `python -m app`, with its settings in the environment."""

import sys

import uvicorn
from pydantic import ValidationError

from app.main import create_app
from app.settings import Settings


def create_app_from_environment() -> object:
    """Make the app in each worker process."""
    return create_app(Settings())


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
