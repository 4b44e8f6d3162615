"""The header X-Model-Label: which version of a model a caller asks for."""

from typing import Annotated, Final

from fastapi import BackgroundTasks, Header, Request

from app.traffic import ModelLabel

HEADER: Final = "X-Model-Label"

_ASKED: Final = "model_label"
_AFTER: Final = "after_answer"


# Async, since FastAPI sends any other dependency through a thread.
async def note_model_label(
    request: Request,
    after: BackgroundTasks,
    label: Annotated[
        ModelLabel | None,
        Header(
            alias=HEADER,
            description="Ask for the version under this label: `stable`, that of everyone, or `canary`, the one on "
            "trial. Without it, a share of the requests gets `canary`, where there is a trial. Where that version is "
            "not there, `stable` answers; the answer's header of the same name says which it was.",
        ),
    ] = None,
) -> None:
    """Read the header, as a dependency of every picture endpoint: what is no label is a 422 that names the labels."""
    setattr(request.state, _ASKED, label)
    setattr(request.state, _AFTER, after)


def asked_label(request: Request) -> ModelLabel | None:
    """The label that the request asks for; None where it asks for none."""
    label: ModelLabel | None = getattr(request.state, _ASKED)
    return label


def after_answer(request: Request) -> BackgroundTasks:
    """What is to be done once the answer's last byte has been handed on."""
    tasks: BackgroundTasks = getattr(request.state, _AFTER)
    return tasks
