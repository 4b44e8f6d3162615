"""What is counted of use. Apart from the ledger, so that a gateway without a database can do without SQLAlchemy."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What was used; see `accounts.tables.usage.DailyUsage` for what each means."""

    requests: int = 0
    images: int = 0
    refused: int = 0
    failed: int = 0

    def add(self, other: "Counts") -> None:
        """Add what another counted."""
        self.requests += other.requests
        self.images += other.images
        self.refused += other.refused
        self.failed += other.failed
