"""Accounts over HTTP, as a whole: there, or not there at all."""

from fastapi import FastAPI

from app.settings import Settings


def add_account_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes of accounts and of the mailing list, where the settings have accounts."""
    if not settings.accounts_on:
        return
    # Only here: a gateway without accounts has no use for SQLAlchemy, which is large.
    from app.account_problems import add_account_error_handlers
    from app.routes import accounts, mailing_list, my_account

    add_account_error_handlers(app)
    app.include_router(accounts.router)
    app.include_router(my_account.router)
    app.include_router(mailing_list.router)
