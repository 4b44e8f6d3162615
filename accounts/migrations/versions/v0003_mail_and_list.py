"""The queue of mails, one-time links, the mailing list and its suppressions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Bring the database to this version."""
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", sa.String(320), nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("consented_at", MOMENT),
        sa.Column("consent_source", sa.String(100), nullable=False),
        sa.Column("unsubscribed_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("email_key", name=op.f("uq_subscriptions_email_key")),
    )
    op.create_table(
        "suppressions",
        sa.Column("address_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("address_digest", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "list_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("completed_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_messages")),
        sa.UniqueConstraint("digest", name=op.f("uq_list_messages_digest")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("recipient", sa.String(320), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("account_id", sa.Uuid()),
        sa.Column("subscription_id", sa.Uuid()),
        sa.Column("list_message_id", sa.Uuid()),
        sa.Column("state", sa.String(10), server_default="queued", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", MOMENT, nullable=False),
        sa.Column("leased_until", MOMENT),
        sa.Column("lease", sa.Uuid()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT),
        sa.Column("last_error", sa.String(500)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_outbox_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_outbox_subscription_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["list_message_id"],
            ["list_messages.id"],
            name=op.f("fk_outbox_list_message_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "list_message_id", "subscription_id", name=op.f("uq_outbox_list_message_id_subscription_id")
        ),
    )
    op.create_index(op.f("ix_outbox_account_id"), "outbox", ["account_id"])
    op.create_index(op.f("ix_outbox_subscription_id"), "outbox", ["subscription_id"])
    op.create_index(op.f("ix_outbox_state_next_attempt_at"), "outbox", ["state", "next_attempt_at"])
    op.create_table(
        "links",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("purpose", sa.String(40), nullable=False),
        sa.Column("account_id", sa.Uuid()),
        sa.Column("subscription_id", sa.Uuid()),
        sa.Column("email", sa.String(320)),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_links")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_links_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_links_subscription_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_links_account_id"), "links", ["account_id"])
    op.create_index(op.f("ix_links_subscription_id"), "links", ["subscription_id"])
    op.create_index(op.f("ix_links_expires_at"), "links", ["expires_at"])


def downgrade() -> None:
    """Take it back to the one before."""
    op.drop_table("links")
    op.drop_table("outbox")
    op.drop_table("list_messages")
    op.drop_table("suppressions")
    op.drop_table("subscriptions")
