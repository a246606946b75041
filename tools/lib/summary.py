"""Counts what the phases of tools/test left behind.

usage: summary.py phase FOLDER     one line about one phase, and the names of what failed
       summary.py total FOLDER     a table of all phases; the last line is "N passed, N failed[, N skipped]"
Exit status 1 when something failed, or when nothing was counted at all.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Count:
    passed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return self.passed + self.skipped + len(self.failures)

    def add(self, other: "Count") -> None:
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures

    def __str__(self) -> str:
        text = f"{self.passed} passed, {len(self.failures)} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def count_gtest(path: Path) -> Count:
    count = Count()
    for suite in json.loads(path.read_text())["testsuites"]:
        for case in suite["testsuite"]:
            if case.get("failures"):
                count.failures.append(f"{suite['name']}.{case['name']}")
            elif case.get("result") == "COMPLETED":
                count.passed += 1
            else:  # skipped at run time, or DISABLED_
                count.skipped += 1
    return count


def gtest_report(folder: Path, ctest_name: str) -> Path:
    """Where the program behind a ctest name left its JSON: unit.api is test_api, kernels.cpu is test_kernels,
    kernels.cuda is test_kernels_cuda."""
    kind, _, rest = ctest_name.partition(".")
    if kind == "kernels" and rest != "cpu":
        rest = f"kernels_{rest}"
    return folder / f"test_{'kernels' if rest == 'cpu' else rest or kind}.json"


def count_ctest(path: Path) -> Count:
    """A GoogleTest program counts by its cases, any other test as one. A program that failed without a failed
    case (it crashed, a sanitizer spoke at its end) is one more failure."""
    count = Count()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name, failed = case.get("name"), case.get("status") == "fail"
        report = gtest_report(path.parent, name)
        cases = count_gtest(report) if report.is_file() else Count()
        if failed and not cases.failures:
            cases.failures.append(name)
        elif not failed and cases.cases == 0 and case.get("status") == "run":
            cases.passed += 1
        elif not failed and cases.cases == 0:
            cases.skipped += 1
        count.add(cases)
    return count


def count_pytest(path: Path) -> Count:
    count = Count()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            count.failures.append(f"{case.get('classname')}::{case.get('name')}")
        elif case.find("skipped") is not None:
            count.skipped += 1
        else:
            count.passed += 1
    return count


def count_cases(path: Path) -> Count:
    count = Count()
    for line in path.read_text().splitlines():
        outcome, name = line.split("\t", 1)
        if outcome == "passed":
            count.passed += 1
        elif outcome == "skipped":
            count.skipped += 1
        else:
            count.failures.append(name)
    return count


def count_phase(folder: Path) -> Count:
    count = Count()
    for name, reader in (("ctest.xml", count_ctest), ("pytest.xml", count_pytest), ("cases.tsv", count_cases)):
        path = folder / name
        if path.is_file() and path.stat().st_size:
            count.add(reader(path))
    if count.cases == 0:
        count.failures.append(f"{folder.name}: nothing was tested")
    return count


def main() -> int:
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "phase":
        count = count_phase(folder)
        print(f"{folder.name}: {count}")
        for name in count.failures:
            print(f"  failed: {name}")
        return 1 if count.failures else 0
    total = Count()
    for phase in sorted(path for path in folder.iterdir() if path.is_dir()):
        count = count_phase(phase)
        print(f"{phase.name:8} {count}")
        for name in count.failures:
            print(f"  failed: {name}")
        total.add(count)
    if total.cases == 0:
        total.failures.append("nothing was tested")
    print(total)
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
