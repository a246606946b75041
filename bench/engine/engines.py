"""The command of each engine for one round, and the figures that its JSON holds."""

import sys
from importlib import metadata
from pathlib import Path

from rounds import Case

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "bench/engine"
OURS = "mokume"
PEERS = {"llama.cpp": ("llama_cpp_round.py", "llama-cpp-python"),
         "OpenVINO GenAI": ("openvino_round.py", "openvino-genai")}


def peer_names() -> list[str]:
    """Those that are installed in the Python that runs this."""
    names = []
    for name, (_, package) in PEERS.items():
        try:
            metadata.version(package)
            names.append(name)
        except metadata.PackageNotFoundError:
            print(f"{name} is left out: pip install {package}", file=sys.stderr)
    return names


def versions() -> dict[str, str]:
    return {name: metadata.version(PEERS[name][1]) for name in peer_names()}


def ours(options, model: str, threads: int, sequences: int = 1, name: str = OURS, **settings) -> Case:
    command = [str(options.mokume), "bench", "--model", model, "--prompt", str(options.prompt), "--generate",
               str(options.generate), "--sequences", str(sequences), "--threads", str(threads), "--repeat", "1",
               "--json"]
    return Case(name, command, **settings)


def _script(name: str, script: str, options, model: str, threads: int, sequences: int, **settings) -> Case:
    command = [sys.executable, str(HERE / script), "--model", model, "--prompt", str(options.prompt), "--generate",
               str(options.generate), "--sequences", str(sequences), "--threads", str(threads)]
    return Case(name, command, **settings)


def peer(peer_name: str, options, model: str, threads: int, sequences: int = 1, name: str = "", **settings) -> Case:
    return _script(name or peer_name, PEERS[peer_name][0], options, model, threads, sequences, **settings)


def daemon(options, model: str, threads: int) -> Case:
    """mokumed itself, to see its start and its memory."""
    case = _script(OURS, "mokumed_round.py", options, model, threads, 1)
    return Case(case.name, case.command + ["--mokumed", str(Path(options.mokume).with_name("mokumed"))])
