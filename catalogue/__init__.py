"""The catalogue: the sports with their ids and where and how each is practised, and the types of product.

A leaf package: it needs nothing but Python. ``python -m catalogue`` checks the catalogue and imports ids from
the Sports API.
"""

from catalogue.errors import CatalogueError
from catalogue.model import Catalogue, Group, Sport
from catalogue.product_reading import load_products, parse_products
from catalogue.products import ProductGroup, Products, ProductType
from catalogue.reading import load_catalogue, parse_catalogue
from catalogue.search import NameSearch, search_of_groups, search_of_sports

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Group",
    "NameSearch",
    "ProductGroup",
    "ProductType",
    "Products",
    "Sport",
    "load_catalogue",
    "load_products",
    "parse_catalogue",
    "parse_products",
    "search_of_groups",
    "search_of_sports",
]
