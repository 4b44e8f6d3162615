"""The product types as JSON:API resources, in the manner of the catalogue's."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.catalogue_schemas import SportIdentifier


class ProductTypeGroup(BaseModel):
    """A sports group that exists for a type of product."""

    name: Annotated[
        str,
        Field(
            description="The name that answers use as sports_group.",
            examples=["Inline skating", "Hiking,Walking,Camping,Sledding"],
        ),
    ]
    sport_ids: Annotated[
        list[str],
        Field(
            description="Ids of the sports that the group stands for; /sports/{sport} tells more.",
            examples=[["10240"]],
        ),
    ]


class ProductTypeAttributes(BaseModel):
    """What a type of product is called, and what there is of it."""

    name: Annotated[str, Field(description="The name that answers use as type.", examples=["skates"])]
    groups: Annotated[
        list[ProductTypeGroup], Field(description="Every sports group that an answer can name.")
    ]


class ProductTypeSports(BaseModel):
    """The sports of all groups together."""

    data: list[SportIdentifier]


class ProductTypeRelationships(BaseModel):
    """What belongs to the type."""

    sports: ProductTypeSports


class ProductTypeResource(BaseModel):
    """A type of product."""

    id: Annotated[str, Field(description="Lower-case words joined by hyphens.", examples=["sports-shoes"])]
    type: Literal["product-type"] = "product-type"
    attributes: ProductTypeAttributes
    relationships: ProductTypeRelationships


class ProductTypesDocument(BaseModel):
    """All types of product."""

    data: list[ProductTypeResource]
