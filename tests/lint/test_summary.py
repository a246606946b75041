"""Shows that tools/lib/summary.py counts what it should, above all that a failure is never lost."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SUMMARY = Path(__file__).parents[2] / "tools" / "lib" / "summary.py"


def case(name: str, result: str = "COMPLETED", failed: bool = False) -> dict:
    return {"name": name, "result": result, **({"failures": [{"failure": "no"}]} if failed else {})}


def gtest(*cases: dict) -> str:
    return json.dumps({"testsuites": [{"name": "Suite", "testsuite": list(cases)}]})


def ctest(**statuses: str) -> str:
    """Names with _ for the dot."""
    cases = "".join(f'<testcase name="{name.replace("_", ".", 1)}" status="{status}"/>' for name, status in statuses.items())
    return f"<testsuite>{cases}</testsuite>"


def total(phases: dict[str, dict[str, str]]) -> tuple[int, str]:
    """Exit status and last line."""
    with tempfile.TemporaryDirectory() as folder:
        for phase, files in phases.items():
            Path(folder, phase).mkdir()
            for name, text in files.items():
                Path(folder, phase, name).write_text(text)
        result = subprocess.run([sys.executable, SUMMARY, "total", folder], capture_output=True, text=True)
        return result.returncode, (result.stdout.splitlines() or [result.stderr])[-1]


class SummaryTest(unittest.TestCase):
    def test_counts_over_all_phases(self):
        pytest = '<testsuites><testsuite><testcase classname="t" name="a"/></testsuite></testsuites>'
        phases = {
            "unit": {"ctest.xml": ctest(unit_api="run"), "test_api.json": gtest(case("a"), case("b"))},
            "lint": {"ctest.xml": ctest(lint_links="run", lint_rooms="run")},
            "fuzz": {"cases.tsv": "passed\tfuzz_a\n"},
            "e2e": {"pytest.xml": pytest},
        }
        self.assertEqual(total(phases), (0, "6 passed, 0 failed"))

    def test_failures_and_skipped_cases(self):
        cases = gtest(case("a"), case("b", failed=True), case("c", "SKIPPED"), case("d", "SUPPRESSED"))
        pytest = '<testsuite><testcase name="a"><failure/></testcase><testcase name="b"><error/></testcase>' \
            '<testcase name="c"><skipped/></testcase></testsuite>'
        phases = {"unit": {"ctest.xml": ctest(unit_api="fail"), "test_api.json": cases}, "e2e": {"pytest.xml": pytest}}
        self.assertEqual(total(phases), (1, "1 passed, 3 failed, 3 skipped"))

    def test_a_program_that_crashed(self):
        self.assertEqual(total({"unit": {"ctest.xml": ctest(unit_api="fail")}}), (1, "0 passed, 1 failed"))

    def test_a_sanitizer_that_speaks_at_the_end(self):
        phases = {"asan": {"ctest.xml": ctest(unit_api="fail"), "test_api.json": gtest(case("a"))}}
        self.assertEqual(total(phases), (1, "1 passed, 1 failed"))

    def test_failed_cases_of_other_kinds(self):
        phases = {"lint": {"ctest.xml": ctest(lint_links="fail")}, "fuzz": {"cases.tsv": "failed\tfuzz_a\n"}}
        self.assertEqual(total(phases), (1, "0 passed, 2 failed"))

    def test_cases_that_were_skipped(self):
        phases = {"cuda": {"cases.tsv": "passed\ta\nskipped\tb\n"}, "neon": {"cases.tsv": "skipped\tc\n"}}
        self.assertEqual(total(phases), (0, "1 passed, 0 failed, 2 skipped"))

    def test_kernels_are_found(self):
        reports = {"test_kernels.json": gtest(case("a"), case("b")), "test_kernels_cuda.json": gtest(case("a"))}
        names = ctest(kernels_cpu="run", kernels_cuda="run", kernels_cuda_gpu="notrun")
        self.assertEqual(total({"unit": {"ctest.xml": names, **reports}}), (0, "3 passed, 0 failed, 1 skipped"))

    def test_nothing_is_a_failure(self):
        self.assertEqual(total({}), (1, "0 passed, 1 failed"))
        self.assertEqual(total({"unit": {}}), (1, "0 passed, 1 failed"))
        self.assertEqual(total({"unit": {"ctest.xml": ""}}), (1, "0 passed, 1 failed"))


if __name__ == "__main__":
    unittest.main()
