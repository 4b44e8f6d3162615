"""The versions of the database, made by Alembic; `accounts.migrating` walks them."""
