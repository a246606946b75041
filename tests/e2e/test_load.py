"""Many clients at once, half of them vanishing: the others' answers do not change and nothing is left behind."""

import asyncio
import json
import random

import aiohttp
import pytest

CLIENTS = 200
DRAWN = 10  # different requests, so that each can be asked alone first
SEED = 20261122
PROMPTS = [
    "The capital of France is", "Once upon a time", "def fibonacci(n):", "The three laws of robotics are",
    "Roses are red,", "In the beginning", "Water boils at", "List of prime numbers: 2, 3, 5,",
    "Dear Sir or Madam,", "The quick brown fox " * 30,
]


def body(model: str, kind: int) -> dict:
    """Request number `kind`: greedy ones and seeded ones, short and long prompts."""
    options = {"model": model, "prompt": PROMPTS[kind % len(PROMPTS)], "max_tokens": 12 + kind % 7, "stream": True,
               "logprobs": 0, "ignore_eos": True}
    if kind % 2:
        return options | {"temperature": 1.0, "top_p": 0.95, "seed": 1000 + kind}
    return options | {"temperature": 0}


async def stream(session, url: str, request: dict, vanish_after: int | None = None) -> list[str]:
    """The tokens of an answer. With `vanish_after`, the connection is cut after that many events."""
    tokens = []
    async with session.post(url, json=request) as response:
        assert response.status == 200, await response.text()
        events, done = 0, False
        async for raw in response.content:
            line = raw.decode().strip()
            if not line.startswith("data: "):
                continue
            if line == "data: [DONE]":
                done = True
                break
            event = json.loads(line[len("data: "):])
            assert "error" not in event, event
            for choice in event["choices"]:
                tokens += choice["logprobs"]["tokens"] if choice.get("logprobs") else []
            events += 1
            if vanish_after is not None and events >= vanish_after:
                response.close()  # closes the socket, not just the response
                return tokens
        assert done, "the stream ended without [DONE]"
    return tokens


def session():
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=280))


async def ask_alone(url: str, model: str) -> list[list[str]]:
    async with session() as client:
        return [await stream(client, url, body(model, kind)) for kind in range(DRAWN)]


async def vanishing(client, url: str, request: dict, draw: random.Random) -> None:
    """Goes away before the answer starts, or after a few events."""
    await asyncio.sleep(draw.uniform(0, 1))
    if draw.random() < 0.4:
        task = asyncio.create_task(stream(client, url, request | {"max_tokens": 500}))
        await asyncio.sleep(draw.uniform(0, 3))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    else:
        await stream(client, url, request | {"max_tokens": 500}, vanish_after=draw.randint(1, 8))


async def staying(client, url: str, request: dict, draw: random.Random) -> list[str]:
    await asyncio.sleep(draw.uniform(0, 1))
    return await stream(client, url, request)


async def ask_together(url: str, model: str) -> tuple[list, list]:
    """What the clients that stay and those that vanish end with: tokens or None, or an exception."""
    draw = random.Random(SEED)
    async with session() as client:
        stay = [staying(client, url, body(model, i % DRAWN), random.Random(draw.random())) for i in range(CLIENTS // 2)]
        leave = [vanishing(client, url, body(model, i % DRAWN), random.Random(draw.random())) for i in range(CLIENTS // 2)]
        ended = await asyncio.gather(*stay, *leave, return_exceptions=True)
    return ended[: len(stay)], ended[len(stay):]


@pytest.mark.timeout(600)
def test_two_hundred_clients_half_of_them_vanish(daemon, model):
    url = f"{daemon.url}/v1/completions"
    alone = asyncio.run(ask_alone(url, model))
    assert all(alone) and len({tuple(tokens) for tokens in alone}) == DRAWN
    stayed, left = asyncio.run(ask_together(url, model))
    assert [each for each in left if isinstance(each, Exception)] == []
    assert [each for each in stayed if isinstance(each, Exception)] == []
    different = [i for i, tokens in enumerate(stayed) if tokens != alone[i % DRAWN]]
    assert different == [], f"answers of clients {different} are not what the same requests got alone"
    metrics = daemon.wait_idle(30)
    cancelled = sum(value for name, value in metrics.items()
                    if name.startswith("mokume_requests_total{") and "cancel" in name)
    assert cancelled > 0
    assert asyncio.run(ask_alone(url, model)) == alone


def test_a_slow_reader_holds_nobody_up(daemon, client, model):
    """A client that asks for a long answer and reads none of it, beside one that reads."""
    import socket

    request = json.dumps({"model": model, "prompt": "Once", "max_tokens": 2000, "stream": True, "ignore_eos": True})
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(request)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.http_port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall((head + request).encode())
        answer = client.completions.create(model=model, prompt="One, two,", max_tokens=20, temperature=0)
        assert answer.usage.completion_tokens == 20
    daemon.wait_idle(10)


def test_queue_full_is_an_error_of_its_own(tmp_path, model):
    """One sequence runs, one waits, the third is told to come back."""
    from daemon import ONE_STAGE, Daemon

    small = Daemon(tmp_path, ONE_STAGE, "scheduler: {max_sequences: 1, max_queue: 1}\n")
    small.start()
    try:
        request = {"model": model, "prompt": "Once", "max_tokens": 600, "temperature": 0, "ignore_eos": True}
        results = asyncio.run(ask_many(f"{small.url}/v1/completions", request, 6))
        assert 200 in results and set(results) <= {200, 429, 503}
        assert len([status for status in results if status != 200]) >= 3
        small.wait_idle()
    finally:
        assert small.stop() == 0


async def ask_many(url: str, request: dict, count: int) -> list[int]:
    async def ask(client):
        async with client.post(url, json=request) as response:
            await response.read()
            return response.status

    async with session() as client:
        return await asyncio.gather(*(ask(client) for _ in range(count)))
