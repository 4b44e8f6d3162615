"""The product types as a JSON:API document, made once and sent many times."""

from app.caching import CacheableDocument
from app.catalogue_schemas import SportIdentifier
from app.product_schemas import (
    ProductTypeAttributes,
    ProductTypeGroup,
    ProductTypeRelationships,
    ProductTypeResource,
    ProductTypesDocument,
    ProductTypeSports,
)
from catalogue import Products, ProductType


def product_types_document(products: Products) -> CacheableDocument:
    """Serialise all product types, in the order of their file."""
    document = ProductTypesDocument(data=[_resource(one) for one in products.types])
    return CacheableDocument.of(document.model_dump_json().encode())


def _resource(one: ProductType) -> ProductTypeResource:
    groups = [ProductTypeGroup(name=group.name, sport_ids=list(group.sport_ids)) for group in one.groups]
    # Each once, though it be in several groups.
    sport_ids = dict.fromkeys(sport_id for group in groups for sport_id in group.sport_ids)
    return ProductTypeResource(
        id=one.id,
        attributes=ProductTypeAttributes(name=one.name, groups=groups),
        relationships=ProductTypeRelationships(
            sports=ProductTypeSports(data=[SportIdentifier(id=sport_id) for sport_id in sport_ids])
        ),
    )
