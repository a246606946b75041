"""A client of mokumed in the standard library alone, for tools/quickstart.

usage: ask.py addresses CONFIG            the addresses that CONFIG listens on, HTTP first, one a line
       ask.py free ADDRESS                status 1 when something listens on ADDRESS already
       ask.py ready ADDRESS               status 0 when the daemon there is ready for requests
       ask.py question ADDRESS TEXT       asks the first model and prints the answer as it streams
"""

import http.client
import json
import re
import socket
import sys


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def connect(address: str, timeout: float) -> http.client.HTTPConnection:
    host, port = split(address)
    return http.client.HTTPConnection(host, port, timeout=timeout)


def addresses(path: str) -> int:
    text = re.sub(r"#.*", "", open(path, encoding="utf-8").read())
    for kind in ("http", "grpc"):
        found = re.search(kind + r":\s*\{?\s*listen:\s*\"?([^\s\"}]+:\d+)", text)
        if not found and kind == "http":
            print(f"{path} has no server.http.listen", file=sys.stderr)
            return 1
        if found:
            print(found.group(1))
    return 0


def free(address: str) -> int:
    host, port = split(address)
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return 0
    return 1


def ready(address: str) -> int:
    connection = connect(address, 5)
    try:
        connection.request("GET", "/health/ready")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException):
        return 1


def get(connection: http.client.HTTPConnection, method: str, path: str, body=None) -> http.client.HTTPResponse:
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        sys.exit(f"{method} {path}: status {response.status}: {response.read(2000).decode(errors='replace')}")
    return response


def question(address: str, text: str) -> int:
    connection = connect(address, 120)
    model = json.loads(get(connection, "GET", "/v1/models").read())["data"][0]["id"]
    messages = [{"role": "user", "content": text}]
    body = {"model": model, "messages": messages, "max_tokens": 120, "temperature": 0, "stream": True}
    pieces = 0
    for raw in get(connection, "POST", "/v1/chat/completions", body):
        line = raw.decode().strip()
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line[len("data: "):])
        if "error" in event:
            sys.exit(f"\nthe stream ended with an error: {event['error']}")
        for choice in event["choices"]:
            piece = choice["delta"].get("content") or ""
            pieces += bool(piece)
            print(piece, end="", flush=True)
    print()
    if pieces == 0:
        sys.exit("the answer was empty")
    return 0


COMMANDS = {"addresses": addresses, "free": free, "ready": ready, "question": question}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]))
