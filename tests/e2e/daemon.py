"""Starts and stops a mokumed, and asks it simple things."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(os.environ.get("MOKUME_BIN", ROOT / "build" / "release" / "bin"))
MODEL_FILE = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_NAME = "smollm2-135m"
LAYERS = 30
START_SECONDS = 120

TWO_STAGES = """\
devices:
  - {name: cpu0, kind: cpu, threads: 1}
  - {name: cpu1, kind: cpu, threads: 1}
placement:
  stages:
    - {device: cpu0, layers: 0-14}
    - {device: cpu1, layers: 15-29}
"""
ONE_STAGE = """\
devices:
  - {name: cpu0, kind: cpu, threads: 2}
placement:
  stages:
    - {device: cpu0, layers: 0-29}
"""
SCHEDULER = "scheduler: {max_sequences: 64, max_queue: 256, prefill_chunk_tokens: 256, " \
    "kv_cache: {memory: 1GiB, page_tokens: 16}}\n"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Daemon:
    """`placement` and `scheduler` are those parts of the configuration as YAML text; `options` go to mokumed."""

    def __init__(self, folder: Path, placement: str = TWO_STAGES, scheduler: str = SCHEDULER,
                 model: Path = MODEL_FILE, options: tuple[str, ...] = ()):
        assert model.exists(), f"{model} is not there: tools/test brings it"
        assert (BIN / "mokumed").is_file(), f"{BIN}/mokumed is not built: tools/test builds it"
        self.http_port, self.grpc_port = free_ports(2)
        self.log = Path(folder) / "mokumed.log"
        self.config = Path(folder) / "mokumed.yaml"
        self.config.write_text(
            f"model: {{name: {MODEL_NAME}, path: {model}}}\n"
            f'server: {{http: {{listen: "127.0.0.1:{self.http_port}"}}, '
            f'grpc: {{listen: "127.0.0.1:{self.grpc_port}"}}, max_request_bytes: 8MiB}}\n'
            f"{placement}{scheduler}"
        )
        self.options = options
        self.process = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def start(self) -> None:
        with self.log.open("wb") as log:
            command = [str(BIN / "mokumed"), "--config", str(self.config), *self.options]
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while not self.ready():
            assert self.alive(), f"mokumed ended before it was ready:\n{self.log_end()}"
            assert time.monotonic() < until, f"not ready after {START_SECONDS} seconds:\n{self.log_end()}"
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM, limit: float = 60) -> int:
        """The exit status; negative for a signal. A daemon that outlives `limit` is killed, which shows as -9."""
        if self.alive():
            self.process.send_signal(how)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log_end(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def ready(self) -> bool:
        try:
            return self.get("/health/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> tuple[int, bytes]:
        return self.request("GET", path)

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None,
                timeout: float = 60) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def post(self, path: str, body, timeout: float = 60) -> tuple[int, dict]:
        """POSTs JSON (or `body` itself where it is bytes already); the answer must be JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, answer = self.request("POST", path, data, {"Content-Type": "application/json"}, timeout)
        return status, json.loads(answer)

    def metrics(self) -> dict[str, float]:
        """Sample ('name' or 'name{labels}') to value."""
        status, text = self.get("/metrics")
        assert status == 200
        return parse_metrics(text.decode())

    def wait_idle(self, limit: float = 30) -> dict[str, float]:
        """The metrics once nothing runs, nothing is queued and no KV page is in use; fails after `limit`."""
        names = ("mokume_requests_running", "mokume_requests_queued", "mokume_kv_pages_used")
        until = time.monotonic() + limit
        while True:
            metrics = self.metrics()
            left = {name: metrics[name] for name in names if metrics[name] != 0}
            if not left:
                return metrics
            assert time.monotonic() < until, f"still in use after {limit} seconds: {left}"
            time.sleep(0.1)


def parse_metrics(text: str) -> dict[str, float]:
    samples = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            found = re.fullmatch(r"([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)(?: \d+)?", line)
            assert found, f"not a line of Prometheus' text format: {line!r}"
            samples[found.group(1)] = float(found.group(2))
    return samples
