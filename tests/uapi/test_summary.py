#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does scripts/test-summary count right, and never lose a failure?

usage: test_summary.py SOURCE-ROOT
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

TAP = """TAP version 13
# seed 1
ok 1 - one
not ok 2 - two # TODO new in this Linux: x
ok 3 - three # SKIP no such device
1..3
"""
CMOCKA = """[==========] Running 3 test(s).
[ RUN      ] a
[       OK ] a
[ RUN      ] b
[ RUN      ] c
[==========] 3 test(s) run.
"""
CMOCKA_ERRORS = """[  FAILED  ] b
[  SKIPPED ] c
[  PASSED  ] 1 test(s).
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] b
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] c

 1 FAILED TEST(S)
"""


def test(name, result, stdout="", stderr="", code=0):
    return {"name": f"uiommufd:suite / {name}", "result": result, "stdout": stdout,
            "stderr": stderr, "returncode": code}


class Summary(unittest.TestCase):
    def run_summary(self, *tests, status=0, log=True):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "testlog.json")
            if log:
                with open(path, "w", encoding="utf-8") as f:
                    f.writelines(json.dumps(t) + "\n" for t in tests)
            run = subprocess.run(
                [os.path.join(ROOT, "scripts/test-summary"), f"run:{status}:{path}"],
                stdout=subprocess.PIPE, text=True)
        lines = run.stdout.splitlines()
        self.assertEqual(run.returncode != 0, not lines[-1].endswith(" 0 failed"))
        return lines

    def test_plain(self):
        self.assertEqual(self.run_summary(test("a", "OK"), test("b", "OK"))[-1],
                         "2 passed, 0 failed")

    def test_tap(self):
        lines = self.run_summary(test("a", "OK", TAP))
        self.assertEqual(lines[-1], "2 passed, 0 failed")
        self.assertIn("skipped: run: a: three (no such device)", lines)

    def test_tap_failure(self):
        lines = self.run_summary(test("a", "FAIL", "ok 1 - x\nnot ok 2 - y\n", code=1),
                                 status=1)
        self.assertIn("FAILED: run: a: y", lines)
        self.assertEqual(lines[-1], "1 passed, 1 failed")

    def test_tap_that_dies(self):
        lines = self.run_summary(test("a", "ERROR", "ok 1 - x\n", code=-11), status=1)
        self.assertEqual(lines[-1], "1 passed, 1 failed")

    def test_cmocka(self):
        lines = self.run_summary(test("a", "FAIL", CMOCKA, CMOCKA_ERRORS, 1), status=1)
        self.assertEqual(lines[-1], "1 passed, 1 failed")
        self.assertIn("FAILED: run: a: b", lines)
        self.assertIn("skipped: run: a: c (skipped itself)", lines)

    def test_cmocka_that_dies(self):
        lines = self.run_summary(test("a", "FAIL", CMOCKA, "", -6), status=1)
        self.assertEqual(lines[-1], "0 passed, 1 failed")

    def test_skipped(self):
        lines = self.run_summary(test("a", "SKIP", "1..0 # SKIP offline\n", code=77),
                                 test("b", "SKIP", "", "no user namespaces\n", 77),
                                 test("c", "OK"))
        self.assertIn("skipped: run: a (offline)", lines)
        self.assertIn("skipped: run: b (no user namespaces)", lines)
        self.assertEqual(lines[-1], "1 passed, 0 failed")

    def test_time_out(self):
        lines = self.run_summary(test("a", "TIMEOUT", code=-15), test("b", "OK"),
                                 status=1)
        self.assertEqual(lines[-1], "1 passed, 1 failed")

    def test_nothing_is_lost(self):
        self.assertEqual(self.run_summary(log=False)[-1], "0 passed, 1 failed")
        self.assertEqual(self.run_summary(log=False, status=2)[-1],
                         "0 passed, 1 failed")
        self.assertEqual(self.run_summary()[-1], "0 passed, 1 failed")
        # All tests passed, and still the run failed.
        self.assertEqual(self.run_summary(test("a", "OK"), status=2)[-1],
                         "1 passed, 1 failed")

    def test_builds(self):
        for status, last in ((0, "1 passed, 0 failed"), (2, "0 passed, 1 failed")):
            run = subprocess.run(
                [os.path.join(ROOT, "scripts/test-summary"), f"build:{status}"],
                stdout=subprocess.PIPE, text=True)
            self.assertEqual(run.stdout.splitlines()[-1], last)


if __name__ == "__main__":
    ROOT = sys.argv.pop(1)
    unittest.main()
