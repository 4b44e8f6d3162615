"""Run the gateway: `python -m app`, with its settings in the environment."""

import asyncio
import sys

import uvicorn
from fastapi import FastAPI
from prometheus_client import disable_created_metrics
from pydantic import ValidationError

from app.allocator import keep_freed_memory
from app.connections import BoundedProtocol
from app.logs import configure_logging
from app.main import create_app
from app.metrics.workers import shared_metrics
from app.open_files import allow_open_files
from app.serving import serve
from app.settings import Settings


def create_app_from_environment() -> FastAPI:
    """Make the app in each worker process."""
    keep_freed_memory()
    settings = Settings()
    _configure_logging(settings)
    # A second series beside each, with the time of its making; Prometheus has no use for it in this text format.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    return create_app(settings)


def _configure_logging(settings: Settings) -> None:
    tokens = [token.get_secret_value() for token in settings.tokens]
    configure_logging(settings.log_format, settings.log_level, tokens)


def _prepare_accounts(settings: Settings) -> None:
    """Bring the database of accounts to this version before any worker starts; exit with 1 where that cannot be."""
    if not settings.accounts_on:
        return
    # A gateway without accounts has no use for SQLAlchemy, which is large.
    from accounts.database import DatabaseAway
    from accounts.migrating import MigrationError
    from accounts.opening import prepare_database

    try:
        asyncio.run(prepare_database(settings))
    except (DatabaseAway, MigrationError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def main() -> None:
    """Serve until told to stop; exit with 2 where a setting is wrong, with 1 where accounts cannot be opened."""
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = "_".join(["SPORTVISION", *(str(part).upper() for part in problem["loc"][:1])])
            print(f"{name}: {problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit(2)
    # With several workers, this process only watches over them; each of them does the same for itself.
    _configure_logging(settings)
    _prepare_accounts(settings)
    allow_open_files(settings.max_connections)
    with shared_metrics(settings.workers if settings.metrics else 1):
        config = uvicorn.Config(
            "app.__main__:create_app_from_environment",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            log_config=None,
            log_level=settings.log_level,
            # Ours has a line for each request that names the route instead of the path, and no query.
            access_log=False,
            http=BoundedProtocol,
            timeout_keep_alive=settings.keep_alive_seconds,
            timeout_graceful_shutdown=settings.stop_seconds,
            server_header=False,
            # The app does that, by SPORTVISION_TRUSTED_PROXIES.
            proxy_headers=False,
        )
        serve(config)


if __name__ == "__main__":
    main()
