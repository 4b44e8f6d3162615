"""The catalogue of sports: what each is called, where and how it is practised, and its id.

A leaf package: it needs nothing but Python. ``python -m catalogue`` checks the catalogue and imports ids from
the Sports API.
"""

from catalogue.errors import CatalogueError
from catalogue.model import Catalogue, Group, Sport
from catalogue.reading import load_catalogue, parse_catalogue
from catalogue.search import NameSearch, search_of_groups, search_of_sports

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Group",
    "NameSearch",
    "Sport",
    "load_catalogue",
    "parse_catalogue",
    "search_of_groups",
    "search_of_sports",
]
