"""The files of a checkout, as the checks see them."""

import os
import re
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Iterator

GENERATED = {"build", "models", ".venv", ".git", ".cache", "__pycache__", ".pytest_cache"}


class Tree:
    def __init__(self, root: Path):
        self.root = Path(root).resolve()

    @cached_property
    def _paths(self) -> list[str]:
        """All files but ignored ones, relative to the root; outside a git checkout, all but generated folders."""
        command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"]
        if (self.root / ".git").exists():
            try:
                listed = subprocess.run(command, cwd=self.root, capture_output=True, check=True).stdout.decode()
                return sorted(path for path in listed.split("\0") if path and (self.root / path).is_file())
            except (OSError, subprocess.CalledProcessError):
                pass  # a checkout that git cannot read here, such as a copied worktree
        return sorted(self._walk())

    def _walk(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name not in GENERATED]
            for name in files:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    def files(self, *folders: str, suffixes: tuple[str, ...] = ()) -> Iterator[str]:
        """The text files under any of `folders` (all of them without) whose names end with one of `suffixes`."""
        for path in self._paths:
            inside = not folders or any(path.startswith(folder + "/") for folder in folders)
            if inside and (not suffixes or path.endswith(suffixes)) and self.text(path):
                yield path

    def text(self, path: str) -> str:
        """Empty for a binary file."""
        content = (self.root / path).read_bytes()
        return "" if b"\0" in content else content.decode(errors="replace")

    def includes(self, path: str) -> Iterator[tuple[int, str, bool]]:
        """(line, header, written in angle brackets) of every #include."""
        for number, line in enumerate(self.text(path).splitlines(), 1):
            found = re.match(r"\s*#\s*include\s*([<\"])([^>\"]+)[>\"]", line)
            if found:
                yield number, found.group(2), found.group(1) == "<"

    def links(self, path: str) -> Iterator[str]:
        """Relative targets of Markdown links, without their anchors."""
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", self.text(path), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if not re.match(r"[a-z]+:|#", target):
                yield target.split("#")[0]
