"""Checks of the repository itself.

usage: lint.py CHECK [--root FOLDER]     prints every violation; status 1 when there is one
       lint.py --list                    the names of the checks

Each check takes a Tree and yields violations as text; test_lint.py shows for each that it can fail.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator

sys.path.insert(0, str(Path(__file__).parent))
import includes
from tree import Tree

CPP_FOLDERS = ("src", "kernels", "include", "tests", "bench")
MAX_LINES = 450


def file_size(tree: Tree) -> Iterator[str]:
    """No source file over 450 lines."""
    for path in tree.files("src", "kernels", "include", suffixes=includes.SOURCES):
        lines = tree.text(path).count("\n")
        if lines > MAX_LINES:
            yield f"{path}: {lines} lines, at most {MAX_LINES}: split it"


def pragma_once(tree: Tree) -> Iterator[str]:
    """Every header starts with #pragma once, after its comment. An -inl.h is one body compiled several times."""
    for path in tree.files(*CPP_FOLDERS, suffixes=(".h", ".cuh")):
        if path.endswith("-inl.h"):
            continue
        code = [line for line in tree.text(path).splitlines() if line.strip() and not line.startswith("//")]
        if not code or code[0] != "#pragma once":
            yield f"{path}: the first line of code is not #pragma once"


def format(tree: Tree) -> Iterator[str]:
    """Every C++ file is as clang-format 14 writes it."""
    program = shutil.which("clang-format-14")
    if not program:
        yield "clang-format-14 is not installed"
        return
    paths = list(tree.files(*CPP_FOLDERS, suffixes=includes.SOURCES))
    command = [program, "--dry-run", "-Werror", "--style=file", *paths]
    result = subprocess.run(command, cwd=tree.root, capture_output=True, text=True) if paths else None
    if result and result.returncode != 0:
        places = [line.split(":", 2) for line in result.stderr.splitlines() if ": error: " in line]
        first = {path: line for path, line, _ in reversed(places)}
        for path in sorted(first):
            yield f"{path}:{first[path]}: not formatted; run clang-format-14 -i {path}"
        if not first:
            yield result.stderr.strip() or f"clang-format-14 ended with status {result.returncode}"


# Written in two halves so that this file does not contain them.
UNFINISHED = tuple(first + second for first, second in (("TO", "DO"), ("FIX", "ME"), ("XX", "X:")))
MACHINE = tuple(
    first + second
    for first, second in (
        ("/wo", "rk/"),
        ("bash_", "jobs"),
        ("../sha", "red"),
        ("/tmp/", "wt"),
        ("/tmp/", "peer"),
        ("deb.debian", ".org"),
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
    )
)
DATA = ("tests/data/", "tests/fuzz/corpus/")  # other people's words: a vocabulary may hold any


def forbidden_words(tree: Tree) -> Iterator[str]:
    """No unfinished business, and no word of the machine that a file was written on."""
    for path in tree.files():
        words = MACHINE if path.startswith(DATA) else MACHINE + UNFINISHED
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            for word in words:
                if word in line:
                    yield f"{path}:{number}: has '{word}'"


def configs_mentioned(tree: Tree) -> Iterator[str]:
    """Every example configuration is told of in the README or the docs."""
    told = "".join(tree.text(path) for path in tree.files(suffixes=(".md",)))
    for path in tree.files("configs", suffixes=(".yaml",)):
        if path not in told:
            yield f"{path}: no .md file mentions it"


def links(tree: Tree) -> Iterator[str]:
    """Every relative link of the documentation leads somewhere."""
    for path in tree.files(suffixes=(".md",)):
        for target in tree.links(path):
            if not (tree.root / Path(path).parent / target).exists():
                yield f"{path}: its link {target} leads nowhere"


def shell(tree: Tree) -> Iterator[str]:
    """Every shell script parses."""
    for path in tree.files("tools", ".ci"):
        if path.endswith(".sh") or tree.text(path).startswith("#!/usr/bin/env bash"):
            result = subprocess.run(["bash", "-n", path], cwd=tree.root, capture_output=True, text=True)
            if result.returncode != 0:
                yield f"{path}: {result.stderr.strip()}"


def python(tree: Tree) -> Iterator[str]:
    """Every Python file parses."""
    for path in tree.files(suffixes=(".py",)):
        try:
            compile(tree.text(path), path, "exec")
        except SyntaxError as error:
            yield f"{path}:{error.lineno}: {error.msg}"


CHECKS = {
    "rooms": includes.rooms,
    "third_party": includes.third_party,
    "kernels": includes.kernels,
    "cuda": includes.cuda,
    "cmake_links": includes.cmake_links,
    "file_size": file_size,
    "pragma_once": pragma_once,
    "format": format,
    "forbidden_words": forbidden_words,
    "configs_mentioned": configs_mentioned,
    "links": links,
    "shell": shell,
    "python": python,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", nargs="?", choices=CHECKS)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[2])
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list or not arguments.check:
        print("\n".join(CHECKS))
        return 0
    violations = list(CHECKS[arguments.check](Tree(arguments.root)))
    print("\n".join(violations) or "nothing found")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
