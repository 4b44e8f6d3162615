"""What Alembic runs for every command. The connection, in its transaction, is handed in by `accounts.migrating`."""

from alembic import context

from accounts.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite can change hardly anything of a table that is there, so Alembic rebuilds it.
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
