"""A fake model server that does what a reload says: it loads and unloads versions and moves labels."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import grpc

from proto_client import ModelState
from proto_client.messages import (
    ErrorCode,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from rollout.config_file import specific_versions
from tests.support.fake_backend import FakeBackend

MODEL = "sport_classifier"


@dataclass
class RollingBackend(FakeBackend):
    """Has versions 1 to 9 of one model on its disk, and serves those that the configuration names.

    Attributes:
        broken: Versions that cannot be loaded.
        slow: Versions that stay LOADING until they are taken out of here.
        refused_labels: Labels that the server refuses to move, whatever is loaded.
        unloads: Whether the server takes configurations that let a version go.
    """

    broken: set[int] = field(default_factory=set)
    slow: set[int] = field(default_factory=set)
    refused_labels: set[str] = field(default_factory=set)
    unloads: bool = True
    loading: asyncio.Event = field(default_factory=asyncio.Event)

    def serve(self, *versions: int, **labels: int) -> None:
        """Begins with these versions and labels."""
        for version in versions:
            self.add_version(MODEL, version)
        self.labels = {(MODEL, label): version for label, version in labels.items()}

    @property
    def available(self) -> set[int]:
        return {number for (_, number), one in self.versions.items() if one.state is ModelState.AVAILABLE}

    def labelled(self) -> dict[str, int]:
        return {label: version for (_, label), version in self.labels.items()}

    def status(self, request: GetModelStatusRequest) -> GetModelStatusResponse:
        for (_, number), one in self.versions.items():
            if one.state is ModelState.LOADING and number not in self.slow:
                one.state = ModelState.END if number in self.broken else ModelState.AVAILABLE
        reply = super().status(request)
        for status in reply.model_version_status:
            if status.version in self.broken and self.versions[MODEL, status.version].state is ModelState.END:
                status.status.error_code = ErrorCode.DATA_LOSS
                status.status.error_message = "Can't parse saved_model.pb"
        return reply

    def _reload(self, request: ReloadConfigRequest) -> ReloadConfigResponse:
        reply = super()._reload(request)
        (model,) = request.config.model_config_list.config
        for label, number in model.version_labels.items():
            moved = self.labelled().get(label) != number
            if number not in self.available or (moved and label in self.refused_labels):
                reply.status.error_code = ErrorCode.FAILED_PRECONDITION
                reply.status.error_message = (
                    f"Request to assign label to version {number} of model {MODEL}, which is not"
                )
                return reply
        wanted = specific_versions(model) or {max(self.available)}
        if self.available - wanted and not self.unloads:
            reply.status.error_code = ErrorCode.INTERNAL
            reply.status.error_message = "Nothing is let go here"
            return reply
        self.labels = {(MODEL, label): number for label, number in model.version_labels.items()}
        for number in wanted - self.available:
            self.add_version(MODEL, number, available=False)
        for number in self.available - wanted:
            self.set_available(MODEL, number, available=False)
        if self.slow & wanted:
            self.loading.set()
        return reply


def unavailable(backend: Any, method: Any) -> None:
    """Has a method of a server fail from now on."""
    backend.fail(method, grpc.StatusCode.UNAVAILABLE, "gone")
