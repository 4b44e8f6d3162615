"""The catalogue's resources in the Sports API's JSON:API form: attributes and relationships as it documents them.

What that API has and our catalogue knows nothing of is left out: icons, images, tags, weather, related sports.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from catalogue.model import Environment, IdSource, Participation


class SportIdentifier(BaseModel):
    """Points at a sport."""

    id: Annotated[str, Field(description="The sport's id.", examples=["66"])]
    type: Literal["sport"] = "sport"


class GroupIdentifier(BaseModel):
    """Points at a group."""

    id: Annotated[str, Field(description="The group's id.", examples=["12"])]
    type: Literal["group"] = "group"


class SelfLink(BaseModel):
    """Where the resource is."""

    self: Annotated[str, Field(description="Its path, with the id of today.", examples=["/sports/66"])]


class SportAttributes(BaseModel):
    """What a sport is called, and where and how it is practised."""

    name: Annotated[
        str, Field(description="The name that the classifier's answers use.", examples=["Skiing"])
    ]
    description: Annotated[
        str | None, Field(description="As in the Sports API; null, as our catalogue has no descriptions.")
    ] = None
    parent_id: Annotated[
        int | None,
        Field(description="Id of the sport that this one is a part of: a number, as in the Sports API."),
    ]
    slug: Annotated[str, Field(description="Lower-case words joined by hyphens.", examples=["skiing"])]
    locale: Annotated[Literal["en"], Field(description="The language of the names.")] = "en"
    environment: Annotated[
        Environment, Field(description="Where it is practised; both where both are common.")
    ]
    participation: Annotated[
        Participation,
        Field(description="single: one person, or one against one; team: two or more on a side."),
    ]
    id_source: Annotated[
        IdSource,
        Field(
            description="Whose id it is: the Sports API's, or one of ours (from 10001 up) until it is known there."
        ),
    ]
    aliases: Annotated[list[str], Field(description="Other names for the very same sport.")]
    former_ids: Annotated[
        list[str], Field(description="Ids that the sport had before; /sports/{sport} still finds it by them.")
    ]


class SportChildren(BaseModel):
    """The sports that are parts of this one."""

    data: list[SportIdentifier]


class SportParent(BaseModel):
    """The sport that this one is a part of, or null."""

    data: SportIdentifier | None


class SportGroup(BaseModel):
    """The group that the sport belongs to."""

    data: GroupIdentifier


class SportRelationships(BaseModel):
    """How the sport stands to others."""

    children: SportChildren
    parent: SportParent
    group: SportGroup


class SportResource(SportIdentifier):
    """A sport."""

    attributes: SportAttributes
    relationships: SportRelationships
    links: SelfLink


class SportDocument(BaseModel):
    """One sport."""

    data: SportResource


class SportsDocument(BaseModel):
    """Several sports."""

    data: list[SportResource]


class GroupAttributes(BaseModel):
    """What a group is called."""

    name: Annotated[str, Field(description="The group's name.", examples=["Snow and ice sports"])]
    slug: Annotated[str, Field(description="Lower-case words joined by hyphens.", examples=["winter-sports"])]
    locale: Annotated[Literal["en"], Field(description="The language of the names.")] = "en"


class GroupSports(BaseModel):
    """The sports of the group."""

    data: list[SportIdentifier]


class GroupRelationships(BaseModel):
    """What belongs to the group."""

    sports: GroupSports


class GroupResource(GroupIdentifier):
    """A group of sports."""

    attributes: GroupAttributes
    relationships: GroupRelationships
    links: SelfLink


class GroupDocument(BaseModel):
    """One group."""

    data: GroupResource


class GroupsDocument(BaseModel):
    """All groups."""

    data: list[GroupResource]
