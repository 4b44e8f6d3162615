"""The model servers of a rollout: every one by its own address, asked and told one by one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from proto_client import (
    ChannelSettings,
    InvalidRequest,
    ModelNotFound,
    ModelServerClient,
    ModelServerError,
    RetryPolicy,
    TlsError,
    TlsFiles,
    VersionStatus,
)
from proto_client.messages import ModelServerConfig
from rollout.errors import RolloutError

#: Seconds for a small question; a server that takes longer counts as away.
ASK_SECONDS = 5.0
_DNS = "dns:///"


@dataclass(frozen=True, slots=True)
class Target:
    """One model server.

    Attributes:
        address: host:port.
        client: Speaks with it alone.
    """

    address: str
    client: ModelServerClient

    async def versions(self, model: str) -> dict[int, VersionStatus]:
        """Ask how the versions of a model stand; empty where the server knows none.

        Raises:
            RolloutError: It does not answer.
        """
        try:
            return {one.version: one for one in await self.client.model_status(model, timeout=ASK_SECONDS)}
        except ModelNotFound:
            return {}
        except ModelServerError as error:
            raise RolloutError(f"{self.address} does not answer: {error}.") from error

    async def labelled(self, model: str, label: str) -> int | None:
        """Ask which version answers under a label; None where the server has no such label, or not its version.

        Raises:
            RolloutError: It does not answer.
        """
        try:
            return (await self.client.model_metadata(model, version_label=label, timeout=ASK_SECONDS)).version
        except (ModelNotFound, InvalidRequest):
            return None
        except ModelServerError as error:
            raise RolloutError(f"{self.address} does not answer: {error}.") from error

    async def tell(self, config: ModelServerConfig, seconds: float) -> None:
        """Have the server take a configuration.

        Raises:
            RolloutError: It refuses, or does not answer in time.
        """
        try:
            await self.client.reload_config(config, timeout=seconds)
        except ModelServerError as error:
            raise RolloutError(f"{self.address} does not take the configuration: {error}.") from error


def open_client(address: str, tls: TlsFiles | None, settings: ChannelSettings) -> ModelServerClient:
    """Make a client, to be closed by the caller.

    Raises:
        RolloutError: The address cannot be read, or the files for TLS cannot be used.
    """
    try:
        return ModelServerClient(address, settings=settings, tls=tls)
    except (ValueError, TlsError) as error:
        raise RolloutError(f"No client for {address!r}: {error}") from error


@asynccontextmanager
async def open_targets(names: Sequence[str], tls: TlsFiles | None = None) -> AsyncIterator[list[Target]]:
    """Open a client to every server; they are closed when the block ends.

    Args:
        names: host:port, or dns:///host:port. A host with several addresses stands for all of them, as a headless
            service of Kubernetes does.
        tls: The files for TLS; None speaks plain text. Without a server name in it, certificates must bear the host
            that was given, not the address that it stands for.

    Raises:
        RolloutError: A name is no such thing, or has no address; or the files for TLS cannot be used.
    """
    # Retries are for passing faults of one question; a reload is never repeated.
    settings = ChannelSettings(retry=RetryPolicy(attempts=3, initial_backoff=0.1))
    found: dict[str, Target] = {}
    async with AsyncExitStack() as stack:
        for name in names:
            host, addresses = await _addresses(name)
            for address in addresses:
                named = tls and replace(tls, server_name=tls.server_name or host)
                if address not in found:
                    client = open_client(address, named, settings)
                    found[address] = Target(address, await stack.enter_async_context(client))
        yield list(found.values())


async def _addresses(name: str) -> tuple[str, list[str]]:
    host, separator, port = name.removeprefix(_DNS).rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise RolloutError(f"{name!r} is no model server's address: give host:port or dns:///host:port.")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )
    except (OSError, OverflowError, UnicodeError) as error:
        raise RolloutError(f"{host} has no address: {error}.") from error
    by_family: dict[int, list[str]] = {}
    for family, _, _, _, where in found:
        written = f"[{where[0]}]" if family == socket.AF_INET6 else str(where[0])
        by_family.setdefault(family, []).append(f"{written}:{port}")
    # Of a server with addresses of both kinds, one of each would be told twice.
    return host.strip("[]"), by_family.get(socket.AF_INET) or by_family[socket.AF_INET6]
