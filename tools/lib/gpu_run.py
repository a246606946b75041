"""Runs programs one after the other under a deadline, and shows where they are."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Cut(Exception):
    """There was not enough time."""


class Failed(Exception):
    """A program that ended badly, or said what it should not."""


class Runner:
    def __init__(self, seconds: float, logs: Path):
        self.deadline = time.monotonic() + seconds
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def need(self, seconds: float, what: str) -> None:
        if self.left() < seconds:
            raise Cut(f"{what} wants some {seconds:.0f} s, and {max(self.left(), 0):.0f} s are left")

    def run(self, title: str, command: list, limit: float, environment: dict | None = None, statuses=(0,)) -> str:
        """What it prints. Its errors go to a log, whose end is in what Failed says. Cut when it takes longer than
        `limit` or than there is time."""
        log = self.logs / f"{title.replace(' ', '-').replace('/', '-')}.log"
        limit = min(limit, self.left())
        if limit <= 0:
            raise Cut("no time was left")
        start = time.monotonic()
        with log.open("wb") as errors, (log.with_suffix(".out")).open("wb") as output:
            try:
                process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                           stderr=errors, start_new_session=True,
                                           env={**os.environ, **(environment or {})})
            except OSError as error:
                raise Failed(f"{command[0]}: {error.strerror}") from None
            try:
                self._watch(process, title, log, start, limit)
            finally:
                self._end(process)
        text = log.with_suffix(".out").read_text(errors="replace")
        if process.returncode not in statuses:
            raise Failed(f"{Path(str(command[0])).name} ended with status {process.returncode}: {what_failed(log)} ({log})")
        return text

    def _watch(self, process: subprocess.Popen, title: str, log: Path, start: float, limit: float) -> None:
        shown = -1
        while process.poll() is None:
            took = time.monotonic() - start
            if took > limit:
                raise Cut(f"stopped after {took:.0f} s")
            if sys.stderr.isatty() and int(took) != shown:
                sys.stderr.write(f"\r\033[K{title}, {took:.0f} s  {end_of(log)[-60:]}")
                sys.stderr.flush()
            elif int(took) != shown and int(took) % 20 == 0 and took > 1:
                print(f"  {title}, {took:.0f} s", file=sys.stderr, flush=True)
            shown = int(took)
            time.sleep(0.05)
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")

    @staticmethod
    def _end(process: subprocess.Popen) -> None:
        """And all that it started."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def what_failed(log: Path) -> str:
    """The first line that speaks of an error (compilers go on after it), or the last that there is."""
    for path in (log, log.with_suffix(".out")):
        for line in path.read_text(errors="replace").splitlines():
            if "error:" in line.lower() or "error at" in line.lower():
                return line.strip()[:300]
    return end_of(log) or end_of(log.with_suffix(".out"))


def end_of(log: Path) -> str:
    """The last line that is not blank, as a terminal would show it."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").replace("\r", "\n").replace("\033[K", "").splitlines()
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
