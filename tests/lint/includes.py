"""Who may include whom: the rules of docs/architecture.md."""

import re
from typing import Iterator

from tree import Tree

# The arrows between rooms. A room may include what it can reach along them.
ARROWS = {
    "base": [],
    "tensor": ["base"],
    "tokenizer": ["base"],
    "config": ["base"],
    "kvcache": ["base"],
    "weights": ["tensor"],
    "model": ["weights", "tokenizer"],
    "quantize": ["device", "kernels"],
    "placement": ["model", "config"],
    "device": ["model"],
    "device/cpu": ["device", "kernels"],
    "device/cuda": ["device", "kernels"],
    "scheduler": ["kvcache"],
    "engine": ["scheduler", "device"],
    "api": ["engine", "tokenizer"],
    "grpc": ["api"],
    "http": ["api"],
    "runtime": ["placement", "engine", "device/cpu", "device/cuda"],
    "cli": ["grpc", "http", "runtime", "quantize"],
    "main": ["cli"],
    "kernels": [],
}

# Libraries, by the first part of a header's path, and the rooms that may include them. None: all but kernels.
LIBRARIES = {
    "absl": None,
    "spdlog": None,
    "fmt": None,
    "yaml-cpp": {"config"},
    "nlohmann": {"tokenizer", "weights", "quantize", "api", "http", "cli"},
    "grpc": {"grpc"},
    "grpcpp": {"grpc"},
    "google": {"grpc"},
    "boost": {"http"},
    "prometheus": {"http"},
    "pcre2.h": {"tokenizer"},
    "re2": {"model"},
    "uninorm.h": {"tokenizer"},
    "CLI": {"cli", "main"},
    "hwloc.h": {"device/cpu"},
    "cuda_runtime_api.h": {"device/cuda"},
    "cublasLt.h": {"device/cuda"},
    "dnnl.hpp": {"device/cpu"},
    "omp.h": {"device/cpu"},
}
# Folders of C and POSIX headers.
SYSTEM = {"sys", "linux", "asm", "arpa", "net", "netinet", "bits"}
SOURCES = (".h", ".cc", ".inc", ".cu", ".cuh")
# What begins the name of a header of the CUDA toolkit.
CUDA_HEADERS = ("cuda", "cublas", "driver_types.h", "vector_types.h", "nv")


def reach(room: str) -> set[str]:
    """`room` itself and all that its arrows lead to."""
    reached, waiting = set(), [room]
    while waiting:
        at = waiting.pop()
        if at not in reached:
            reached.add(at)
            waiting += ARROWS.get(at, [])
    return reached


def room_of(path: str) -> str:
    """The room of a file or of a header as it is included: "device/cpu" is one of its own, "http" holds all
    below it."""
    parts = path.removeprefix("src/").split("/")
    of_its_own = "/".join(parts[:2]) in ARROWS
    return "/".join(parts[:2]) if of_its_own else parts[0]


def rooms(tree: Tree) -> Iterator[str]:
    """Includes follow the arrows between rooms, and are written from src/ on."""
    for path in tree.files("src", suffixes=SOURCES):
        room = room_of(path)
        if room not in ARROWS:
            yield f"{path}: the room {room} has no arrows in tests/lint/includes.py"
            continue
        for line, header, angled in tree.includes(path):
            target = room_of(header)
            if target in ARROWS and "/" in header and not angled and target not in reach(room):
                yield f"{path}:{line}: {room} may not include {header}"
            if not angled and ("/" not in header or ".." in header):
                yield f"{path}:{line}: {header}: write the path from src/ on"


def library_of(header: str) -> str:
    if header.endswith(".pb.h"):
        return "google"
    return header.split("/")[0]


def third_party(tree: Tree) -> Iterator[str]:
    """Each library stays in the rooms that are there to hide it."""
    ours = set(tree.files("src", suffixes=SOURCES))
    for path in tree.files("src", "include", suffixes=SOURCES):
        room = room_of(path)
        for line, header, angled in tree.includes(path):
            if not angled and f"src/{header}" in ours:
                continue
            library = library_of(header)
            allowed = LIBRARIES.get(library)
            if allowed is not None and room not in allowed:
                yield f"{path}:{line}: {header} belongs to {', '.join(sorted(allowed))} only"
            known = library in LIBRARIES or library in SYSTEM or "/" not in header
            if not known and (angled or library not in {*ARROWS, "mokume"}):
                yield f"{path}:{line}: {header}: tests/lint/includes.py does not know who may include it"


def kernels(tree: Tree) -> Iterator[str]:
    """kernels/ knows neither our rooms nor any library."""
    for path in tree.files("kernels", suffixes=SOURCES):
        for line, header, angled in tree.includes(path):
            if angled and "/" in header and header.split("/")[0] not in SYSTEM:
                yield f"{path}:{line}: kernels may include no library: {header}"
            if not angled and not header.startswith("kernels/"):
                yield f"{path}:{line}: kernels may include only kernels/..., not {header}"


def cuda(tree: Tree) -> Iterator[str]:
    """The toolkit's headers stay where only nvcc and the CUDA device see them, so that everything else builds on a
    machine without it; the executor knows none of the kernels that run on it."""
    for path in tree.files("src", "kernels", "include", "tests", "bench", suffixes=SOURCES):
        for line, header, angled in tree.includes(path):
            hidden = path == "kernels/cuda/portable_gpu.cuh" or path.startswith("src/device/cuda/")
            if angled and header.startswith(CUDA_HEADERS) and not hidden:
                yield f"{path}:{line}: {header} of the CUDA toolkit belongs to portable_gpu.cuh and src/device/cuda"
            if path.startswith("kernels/simt/") and header.startswith(("kernels/cuda/", "kernels/cpu/")):
                yield f"{path}:{line}: the executor may not include {header}"
            if path.startswith("src/") and header.endswith((".cuh", ".cu")):
                yield f"{path}:{line}: {header}: a room sees kernels through kernels/cuda/kernels.h"


def cmake_links(tree: Tree) -> Iterator[str]:
    """Libraries of rooms are linked along the arrows as well."""
    for path in tree.files("src", suffixes=("CMakeLists.txt",)):
        for name, dependencies in re.findall(r"mokume_room\(\s*(\w+)\s+DEPS\s+([^)]*)\)", tree.text(path)):
            room = name.replace("device_", "device/")
            for dependency in re.findall(r"\bmokume_(\w+)", dependencies):
                target = re.sub(r"^kernels_\w+", "kernels", dependency.replace("device_", "device/"))
                if target not in reach(room):
                    yield f"{path}: {room} may not link {target}"
