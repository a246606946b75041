"""Input that no honest client sends: a clear error each, and the daemon goes on."""

import json
import random
import socket
import time

import pytest

GOOD_CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "temperature": 0}
GOOD_COMPLETION = {"prompt": "Hi", "max_tokens": 2, "temperature": 0}
ENDPOINTS = {
    "/v1/chat/completions": GOOD_CHAT,
    "/v1/completions": GOOD_COMPLETION,
    "/tokenize": {"content": "Hi", "add_special": False, "parse_special": True},
    "/detokenize": {"tokens": [1, 2]},
}
NUMBERS = ["temperature", "top_p", "min_p", "top_k", "max_tokens", "max_completion_tokens", "n", "seed",
           "presence_penalty", "frequency_penalty", "repetition_penalty"]
FIELDS = NUMBERS + ["model", "stream", "stop", "logit_bias", "ignore_eos", "stream_options"]
# Raw JSON, so that what Python's json would not write gets sent too.
WRONG_TYPES = ["{}", "[]", '"text"', "true", "[[]]", '{"a": {"b": []}}']
WILD_NUMBERS = ["-1e308", "1e308", "1e999", "-1e999", "9223372036854775807", "9223372036854775808",
                "-9223372036854775809", "18446744073709551616", "1" * 400, "-" + "9" * 400, "1e-400", "-0.0", "NaN",
                "Infinity", "0x10", "1_000"]


@pytest.fixture(autouse=True)
def still_answers(daemon, model):
    """After each test the daemon answers as ever and holds nothing."""
    yield
    status, answer = daemon.post("/v1/completions", {"model": model, "prompt": "The capital of France is",
                                                     "max_tokens": 2, "temperature": 0})
    assert status == 200 and answer["choices"][0]["text"].startswith(" Paris")
    daemon.wait_idle()


def with_field(body: dict, model: str, field: str, raw: str) -> bytes:
    """`body` with `field` set to the JSON text `raw`, valid or not."""
    same = {"max_tokens", "max_completion_tokens"}  # two names of one setting, not to be given both
    left_out = same if field in same else {field}
    rest = {key: value for key, value in (body | {"model": model}).items() if key not in left_out}
    return f"{json.dumps(rest)[:-1]}, {json.dumps(field)}: {raw}}}".encode()


def check_error(status: int, answer: dict, allowed=(400, 404, 413)) -> None:
    """OpenAI's shape of an error."""
    assert status in allowed, (status, answer)
    assert set(answer) == {"error"}, answer
    error = answer["error"]
    assert {"message", "type", "param", "code"} <= set(error), error
    assert isinstance(error["message"], str) and error["message"] and isinstance(error["type"], str)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("field", FIELDS)
def test_wrong_type_in_a_field(daemon, model, path, field):
    for raw in WRONG_TYPES:
        fits = (field in ("model", "stop") and raw == '"text"') or (field in ("stream", "ignore_eos") and raw == "true") \
            or (field in ("logit_bias", "stream_options") and raw == "{}") or (field == "stop" and raw == "[]")
        if not fits:
            check_error(*daemon.post(path, with_field(ENDPOINTS[path], model, field, raw)), allowed=(400,))


@pytest.mark.parametrize("path, field", [
    ("/v1/chat/completions", "messages"), ("/v1/completions", "prompt"), ("/tokenize", "content"),
    ("/tokenize", "add_special"), ("/tokenize", "parse_special"), ("/detokenize", "tokens"),
])
def test_wrong_type_in_the_input(daemon, model, path, field):
    for raw in WRONG_TYPES + ["null", "5", "[null]", "[1.5]", "[1, \"a\"]", "[{}]"]:
        fits = (field == "prompt" or field == "content") and raw == '"text"' or \
            field in ("add_special", "parse_special") and raw in ("true", "null") or field == "tokens" and raw == "[]"
        if not fits:
            check_error(*daemon.post(path, with_field(ENDPOINTS[path], model, field, raw)), allowed=(400,))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("field", NUMBERS)
def test_wild_numbers(daemon, model, path, field):
    """Refused, or taken where the number is in bounds after all (max_tokens is cut to the context)."""
    for raw in WILD_NUMBERS:
        fits = field == "seed" or raw in ("-0.0", "1e-400")
        status, answer = daemon.post(path, with_field(ENDPOINTS[path], model, field, raw))
        if not (fits and status == 200):
            check_error(status, answer, allowed=(400,))


def test_wild_token_ids(daemon, model):
    for raw in WILD_NUMBERS + ["-1", "49152", "2147483648"]:
        if raw != "-0.0" and raw != "1e-400":
            check_error(*daemon.post("/v1/completions", with_field(GOOD_COMPLETION, model, "prompt", f"[{raw}]")))
            check_error(*daemon.post("/detokenize", with_field({}, model, "tokens", f"[{raw}]")))


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("raw", [b"", b"{", b"nul", b"[]", b"null", b"5", b'"x"', b"{}", b'{"a":1}{"b":2}', b"\x00",
                                 b"\xff\xfe{}", b'{"a":"\\ud800"}', b"{'a':1}", b'{"model":"a"'], ids=repr)
def test_bodies_that_are_no_request(daemon, path, raw):
    check_error(*daemon.post(path, raw))


@pytest.mark.parametrize("path", ENDPOINTS)
def test_invalid_utf8(daemon, model, path):
    for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"a\x80b"):
        body = json.dumps(ENDPOINTS[path] | {"model": model}).encode().replace(b'"Hi"', b'"' + bad + b'"')
        if path == "/detokenize":
            body = body.replace(b'"tokens"', b'"' + bad + b'"')
        check_error(*daemon.post(path, body), allowed=(400,))


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
def test_deep_nesting(daemon, path, opening, closing):
    for depth in (1000, 100_000):
        check_error(*daemon.post(path, opening * depth + b"1" + closing * depth))
    check_error(*daemon.post(path, opening * 1_000_000))


@pytest.mark.parametrize("path", ENDPOINTS)
def test_ten_mebibytes(daemon, path):
    """Refused with 413, whether the length is announced or not; a cut connection is fine once the answer is out."""
    status, answer = send_big(daemon, path, 10 << 20)
    assert status == 413
    check_error(status, answer)


def send_big(daemon, path: str, size: int) -> tuple[int, dict]:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=30) as connection:
        connection.sendall(head.encode())
        try:
            connection.sendall(b'{"prompt": "' + b"a" * (size - 14) + b'"}')
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not read what it refuses
        status, body = split_response(read_all(connection))
        return status, json.loads(body)


def read_all(connection: socket.socket, limit: float = 30) -> bytes:
    """Until the other side closes, a whole answer is there, or `limit` seconds pass."""
    data, until = b"", time.monotonic() + limit
    while time.monotonic() < until and not complete(data):
        try:
            piece = connection.recv(1 << 16)
        except (ConnectionResetError, socket.timeout):
            break
        if not piece:
            break
        data += piece
    return data


def complete(data: bytes) -> bool:
    head, separator, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return bool(separator) and len(body) >= int(line.split(b":")[1])
    return False


def split_response(data: bytes) -> tuple[int, bytes]:
    assert data.startswith(b"HTTP/1."), data[:200]
    return int(data.split(b" ", 2)[1]), data.partition(b"\r\n\r\n")[2]


def send_raw(daemon, data: bytes, limit: float = 10) -> bytes:
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=limit) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return read_all(connection, limit)


@pytest.mark.parametrize("data", [
    b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"b" * 200_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 50_000 + b"\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
    b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
], ids=lambda data: repr(data[:40]))
def test_broken_http(daemon, data):
    """An error status or a closed connection, within the time."""
    answer = send_raw(daemon, data)
    if answer:
        assert 400 <= split_response(answer)[0] < 600


def test_chunked_body_over_the_limit(daemon):
    chunk = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
    head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=30) as connection:
        try:
            connection.sendall(head + chunk * 10 + b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = read_all(connection)
    assert not answer or split_response(answer)[0] == 413


@pytest.mark.parametrize("method, path, statuses", [
    ("GET", "/nothing", (404,)), ("GET", "/v1/chat/completions", (405,)), ("DELETE", "/v1/models", (405,)),
    ("POST", "/v1/models", (405,)), ("PUT", "/tokenize", (405,)), ("GET", "/v1/../../etc/passwd", (404,)),
    ("GET", "/%2e%2e/%2e%2e/etc/passwd", (404,)), ("GET", "/v1/models/%00", (404,)), ("GET", "/v1/models/%zz", (400, 404)),
    ("BREW", "/v1/models", (400, 405, 501)),
])
def test_methods_and_paths(daemon, method, path, statuses):
    status, body = daemon.request(method, path)
    check_error(status, json.loads(body), allowed=statuses)


def test_slow_headers_hold_nothing(daemon):
    """Connections that trickle their request do not keep others out."""
    trickling = [socket.create_connection(("127.0.0.1", daemon.http_port)) for _ in range(300)]
    try:
        for connection in trickling:
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHo")
        for _ in range(3):
            start = time.monotonic()
            assert daemon.get("/health/live")[0] == 200
            assert time.monotonic() - start < 2
            for connection in trickling:
                try:
                    connection.sendall(b"s")
                except OSError:
                    pass  # cut off: fine as well
    finally:
        for connection in trickling:
            connection.close()


def test_random_bytes_and_cut_requests(daemon, model):
    """Flipped bits and truncations of an honest request."""
    draw = random.Random(7)
    body = json.dumps(GOOD_CHAT | {"model": model}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    good = head + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
    for _ in range(200):
        bad = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        answer = send_raw(daemon, bytes(bad[: draw.randint(1, len(bad))]), limit=10)
        assert not answer or split_response(answer)[0] in range(200, 600)


@pytest.mark.parametrize("messages", [
    [{}], [{"role": "user"}], [{"content": "x"}], [{"role": 5, "content": "x"}], [{"role": "user", "content": 5}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}], ["text"], [None],
    [{"role": "user", "content": [{"type": "text"}]}],
], ids=repr)
def test_bad_messages(daemon, model, messages):
    check_error(*daemon.post("/v1/chat/completions", GOOD_CHAT | {"model": model, "messages": messages}), allowed=(400,))


def test_many_messages(daemon, model):
    """More conversation than the context holds."""
    messages = [{"role": "user", "content": "word " * 50}] * 2000
    check_error(*daemon.post("/v1/chat/completions", GOOD_CHAT | {"model": model, "messages": messages}), allowed=(400,))
