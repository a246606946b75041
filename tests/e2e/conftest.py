"""The real daemon with the real model, one for all tests; tests/e2e wants a release build and models/ filled."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# A proxy that the machine is set to must not see requests to our own daemon.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

from daemon import MODEL_NAME, Daemon  # noqa: E402


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    """Two stages on two devices. Ends with SIGTERM, which must give status 0 after all that the tests did."""
    running = Daemon(tmp_path_factory.mktemp("daemon"))
    running.start()
    yield running
    status = running.stop(signal.SIGTERM)
    assert status == 0, f"mokumed ended with status {status} on SIGTERM:\n{running.log_end()}"


@pytest.fixture(autouse=True)
def daemon_lives(request):
    """No test may bring the daemon down; the one that did is the one that fails."""
    yield
    if "daemon" in request.fixturenames:
        running = request.getfixturevalue("daemon")
        assert running.alive(), f"mokumed died:\n{running.log_end()}"


@pytest.fixture(scope="session")
def client(daemon):
    import openai

    return openai.OpenAI(base_url=f"{daemon.url}/v1", api_key="none", max_retries=0, timeout=120)


@pytest.fixture(scope="session")
def model():
    return MODEL_NAME
