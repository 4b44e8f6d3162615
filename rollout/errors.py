"""What can go wrong in a rollout."""


class RolloutError(Exception):
    """A rollout could not be done; the message says why, what was left how, and what to do."""
