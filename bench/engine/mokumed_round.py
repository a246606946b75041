"""One round of mokumed: from its start to ready, then one request, then what memory it takes."""

import argparse
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time

import engine_round

CONFIG = """\
model: {{name: model, path: {model}}}
server: {{http: {{listen: "127.0.0.1:{http}"}}, grpc: {{listen: "127.0.0.1:{grpc}"}}}}
devices: [{{name: cpu0, kind: cpu, threads: {threads}}}]
scheduler: {{kv_cache: {{memory: 1GiB}}}}
log: {{level: error}}
"""
DEADLINE_SECONDS = 300


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("--model", "--mokumed"):
        parser.add_argument(name, required=True)
    for name in ("--prompt", "--generate", "--sequences", "--threads"):
        parser.add_argument(name, type=int, required=True)
    return parser.parse_args()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def call(port: int, method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_until_ready(process: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            engine_round.refuse(process.stderr.read().decode(errors="replace"))
        try:
            if call(port, "GET", "/health/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.002)
    raise TimeoutError("mokumed is not ready")


def request(options, port: int) -> float:
    body = {"model": "model", "prompt": [(i * 7919 + 11) % 32000 for i in range(options.prompt)],
            "max_tokens": options.generate, "temperature": 0, "ignore_eos": True}
    start = time.perf_counter()
    status, answer = call(port, "POST", "/v1/completions", body)
    if status != 200 or json.loads(answer)["usage"]["completion_tokens"] != options.generate:
        raise RuntimeError(answer.decode(errors="replace"))
    return time.perf_counter() - start


def main() -> None:
    options = parse_options()
    http_port, grpc_port = free_ports(2)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(CONFIG.format(model=json.dumps(os.path.abspath(options.model)), http=http_port, grpc=grpc_port,
                                   threads=options.threads))
        config.flush()
        start = time.perf_counter()
        process = subprocess.Popen([options.mokumed, "--config", config.name], stderr=subprocess.PIPE)
        try:
            wait_until_ready(process, http_port)
            ready = time.perf_counter() - start
            seconds = request(options, http_port)
            print(json.dumps({"ready_seconds": ready, "total_tokens_per_second": {"median": options.generate / seconds},
                              "interpreter_bytes": 0} | engine_round.memory(process.pid)))
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
