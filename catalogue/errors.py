"""What the catalogue raises."""


class CatalogueError(Exception):
    """The catalogue's data, or a file that was to be read into it, is not right.

    Attributes:
        problems: Every problem found, each a sentence that says where it is.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(problems))
