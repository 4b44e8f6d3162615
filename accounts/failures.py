"""Which failures of a task in the background have been told already: each kind once, until it goes well again."""


class Failures:
    """The kinds of failures since it last went well; true where there are any."""

    def __init__(self) -> None:
        self._kinds: set[type[Exception]] = set()

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def is_new(self, error: Exception) -> bool:
        """Note a failure, and say whether it is the first of its kind."""
        new = type(error) not in self._kinds
        self._kinds.add(type(error))
        return new

    def clear(self) -> None:
        """It went well."""
        self._kinds.clear()
