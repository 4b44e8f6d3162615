"""News of revocations between processes, by Redis."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest
import redis

from accounts.tokens import shared_news
from accounts.tokens.news import News, open_news
from accounts.tokens.shared_news import SharedNews, open_shared_news

Heard = list[uuid.UUID | None]


async def until(reached: Callable[[], bool], meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
    async with asyncio.timeout(30):
        while not reached():
            if meanwhile is not None:
                await meanwhile()
            await asyncio.sleep(0.01)


async def test_within_one_process_at_once() -> None:
    identity, heard = uuid.uuid4(), Heard()
    async with open_news(None) as news:
        assert type(news) is News
        news.listen(heard.append)
        await news.tell(identity)
    assert heard == [identity]


async def test_all_who_share_a_redis_hear(redis_url: str) -> None:
    identity = uuid.uuid4()
    heard: tuple[Heard, Heard] = ([], [])
    async with open_shared_news(redis_url) as here, open_shared_news(redis_url) as there:
        here.listen(heard[0].append)
        there.listen(heard[1].append)
        await asyncio.gather(here.subscribed.wait(), there.subscribed.wait())
        await here.tell(identity)
        await until(lambda: identity in heard[1])
        assert heard[0][-1] == identity


async def test_after_a_break_anything_may_have_changed(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    heard = Heard()
    async with open_shared_news(redis_url) as news:
        news.listen(heard.append)
        await news.subscribed.wait()
        await until(lambda: heard == [None])
        with closing(redis.Redis.from_url(redis_url)) as client:
            # All subscriptions are cut, but for the one that says so.
            client.client_kill_filter(_type="pubsub")
        await until(lambda: heard == [None, None])
    messages = [record.message for record in caplog.records if record.name.startswith("accounts")]
    assert len([one for one in messages if one.startswith("No news of revocations")]) == 1
    assert len([one for one in messages if one.startswith("News of revocations come again")]) == 1


async def test_a_redis_that_is_away_is_logged_once_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    identity, heard = uuid.uuid4(), Heard()
    async with open_shared_news("redis://127.0.0.1:1/0") as news:
        news.listen(heard.append)
        await until(lambda: "No news of revocations" in caplog.text)
        await news.tell(identity)
        await asyncio.sleep(0)
        assert heard == [identity]
    assert caplog.text.count("No news of revocations") == 1
    assert "other replicas do not hear" in caplog.text


async def test_a_silent_redis_counts_as_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that was cut without a word: nothing comes, and nothing goes wrong."""
    monkeypatch.setattr(shared_news, "_SILENCE_SECONDS", 0.05)

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Enough of Redis' protocol to be taken for one, up to the subscription.
        while line := await reader.readline():
            if b"SUBSCRIBE" in line.upper():
                name = shared_news._CHANNEL.encode()
                writer.write(b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (len(name), name))
            elif line.strip().upper() in {b"HELLO", b"CLIENT", b"SELECT"}:
                writer.write(b"-ERR unknown command\r\n" if line.strip().upper() == b"HELLO" else b"+OK\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_shared_news(f"redis://127.0.0.1:{port}/0?protocol=2") as news:
        assert isinstance(news, SharedNews)
        await news.subscribed.wait()
        await until(lambda: "No news of revocations" in caplog.text)


async def test_a_message_of_others_on_the_channel_is_no_news(redis_url: str) -> None:
    heard = Heard()
    async with open_shared_news(redis_url) as news:
        news.listen(heard.append)
        await until(lambda: heard == [None])
        with closing(redis.Redis.from_url(redis_url)) as client:
            client.publish(shared_news._CHANNEL, b"what?")
        identity = uuid.uuid4()
        await news.tell(identity)
        await until(lambda: len(heard) >= 3)
    assert set(heard) == {None, identity}
