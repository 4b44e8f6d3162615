"""Settings of accounts: where they are kept, and the secret on which all their tokens and links rest."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from accounts.mail.settings import MailSettings

#: Good enough to try things on one's own machine. It is public, so it is refused anywhere else.
DEVELOPMENT_SECRET: Final = "public-secret-for-development-only"  # noqa: S105
MIN_SECRET_LENGTH: Final = 32
_HOW: Final = '`python -c "import secrets; print(secrets.token_urlsafe(48))"` makes one'


def _unset_where_empty(value: object) -> object:
    return None if value == "" else value


#: Compose files and the like hand on what is not set as nothing.
_OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_unset_where_empty)]


class AccountsSettings(BaseModel):
    """Part of `app.settings.Settings`, and of the command line's."""

    environment: Annotated[
        Literal["development", "production"],
        Field(
            description="In development there is a secret key for all who set none. It is public, so production "
            "refuses it."
        ),
    ] = "production"
    accounts: Annotated[
        bool | None,
        Field(
            description="Keep accounts and their tokens in a database. Left out: where SPORTVISION_SECRET_KEY is "
            "set, and in development."
        ),
    ] = None
    secret_key: Annotated[
        _OptionalSecret,
        Field(
            description="What tokens and mailed links are digested with; at least 32 characters, the same on all "
            "replicas. Whoever has it and the database can still not read a token out of it; whoever loses it loses "
            "all tokens."
        ),
    ] = None
    previous_secret_key: Annotated[
        _OptionalSecret,
        Field(description="The secret key of before; tokens that were made with it go on working."),
    ] = None
    database_url: Annotated[
        SecretStr,
        Field(
            description="sqlite:///relative/file, sqlite:////absolute/file, or "
            "postgresql://user:password@host:5432/database."
        ),
    ] = SecretStr("sqlite:///var/accounts.sqlite3")
    database_migrate: Annotated[
        bool,
        Field(
            description="Bring the database to this version's tables at start. Switched off, a gateway refuses to "
            "start with others, and `python -m accounts migrate up` is for the operator."
        ),
    ] = True
    database_pool_size: Annotated[
        int, Field(ge=2, description="Connections to the database, in each worker process.")
    ] = 5
    database_timeout_seconds: Annotated[
        float, Field(gt=0, description="For a connection, a statement or a lock; beyond it, 503.")
    ] = 5.0
    database_wait_seconds: Annotated[
        float, Field(ge=0, description="How long a start waits for a database that is away.")
    ] = 30.0
    redis_url: Annotated[
        _OptionalSecret,
        Field(
            description="redis://, rediss:// or unix:// of what replicas share: limits, and the news of a "
            "revocation. Without it each process counts alone, and revocations take token_changes_seconds."
        ),
    ] = None
    token_cache_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="How long a token counts as good without another look at it in the database. Revocations do "
            "not wait for that, see token_changes_seconds.",
        ),
    ] = 60.0
    token_changes_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="How often each process looks for revocations by others: the time in which one takes effect "
            "everywhere. With Redis it does so at once.",
        ),
    ] = 2.0
    token_cache_size: Annotated[
        int,
        Field(ge=1, description="Tokens that are remembered, and as many that are unknown, in each process."),
    ] = 10_000
    token_stale_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long after the last look a remembered token goes on working while the database is "
            "away; beyond it, 503.",
        ),
    ] = 300.0
    token_last_used_seconds: Annotated[
        float, Field(gt=0, description="How often it is written when tokens were last used.")
    ] = 30.0

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        for name, secret in (
            ("SPORTVISION_SECRET_KEY", self.secret_key),
            ("SPORTVISION_PREVIOUS_SECRET_KEY", self.previous_secret_key),
        ):
            if secret is None:
                continue
            text = secret.get_secret_value()
            if self.environment != "development" and text == DEVELOPMENT_SECRET:
                raise ValueError(
                    f"{name} is the one for development, which everybody can read in the source: set another. {_HOW}"
                )
            if len(text) < MIN_SECRET_LENGTH:
                raise ValueError(f"{name} has fewer than {MIN_SECRET_LENGTH} characters. {_HOW}")
        if self.accounts and self.secret_key is None and self.environment != "development":
            raise ValueError(
                f"SPORTVISION_ACCOUNTS is on, but SPORTVISION_SECRET_KEY is not set: outside development it has no "
                f"default. {_HOW}"
            )
        return self

    @model_validator(mode="after")
    def _check_database_url(self) -> Self:
        if self.accounts_on:
            # Here, because a gateway without accounts has no use for SQLAlchemy, which is large.
            from accounts.database_url import read_url

            try:
                read_url(self.database_url.get_secret_value())
            except ValueError as error:
                raise ValueError(f"SPORTVISION_DATABASE_URL: {error}") from error
        return self

    @model_validator(mode="after")
    def _check_redis_url(self) -> Self:
        url = "redis://" if self.redis_url is None else self.redis_url.get_secret_value()
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError(
                "SPORTVISION_REDIS_URL must begin with redis://, rediss:// or unix://, as in redis://:password@host:6379/0"
            )
        return self

    @property
    def accounts_on(self) -> bool:
        """Whether there are accounts at all."""
        if self.accounts is None:
            return self.secret_key is not None or self.environment == "development"
        return self.accounts

    @property
    def secret_key_bytes(self) -> bytes:
        """The secret key; in development the public one where none is set.

        Raises:
            RuntimeError: There is none, for accounts are off.
        """
        if self.secret_key is not None:
            return self.secret_key.get_secret_value().encode("utf-8")
        if self.environment == "development":
            return DEVELOPMENT_SECRET.encode("ascii")
        raise RuntimeError("there is no secret key, for accounts are off")

    @property
    def previous_secret_key_bytes(self) -> bytes | None:
        """The secret key of before, if any."""
        previous = self.previous_secret_key
        return None if previous is None else previous.get_secret_value().encode("utf-8")


class CommandSettings(AccountsSettings, MailSettings, BaseSettings):
    """The same, read from the environment, for `python -m accounts`.

    Raises:
        pydantic.ValidationError: A value is wrong.
    """

    model_config = SettingsConfigDict(env_prefix="SPORTVISION_", frozen=True, extra="ignore")

    accounts: bool | None = True
    plans_file: Annotated[Path | None, Field(description="The gateway's plans, to check names by.")] = None
