"""Goal: each fault that the program can be given on purpose (base/planted_fault.hpp) is found by a scenario that ships,
and without one the scenario is clean. Method: `starling simulate`, once with and once without the fault.

measure/planted_faults.py tries all scenarios with all faults."""

import json
import os
import re
import subprocess
import unittest

from swarm_fixture import BINARY, ROOT, main

SHIPPED = ROOT / "scripts/scenarios"
FOUND_BY = {
    "no-refutation": ("one-way-cut", "list all"),
    "no-suspicion": ("lossy-20", "called failed while it ran"),
    "no-helpers": ("one-way-pair", "suspected"),
    "no-healing": ("isolated-one", "in the calm"),
    "silent-leave": ("goodbye", "was told to leave, and was called failed"),
    "failure-untold": ("founder-dies", "list all"),
    "never-counts": ("rolling-restart", "outside the sum"),
    "one-sided-exchange": ("churn", "moves the mean"),
    "stuck-after-abort": ("isolated-one", "exchange"),
    "shards-not-taken-over": ("half-dies", "nobody's duty"),
    "trainer-stops": ("founder-dies", "made no step"),
    "silent-donor": ("thundering-join", "did not hold"),
}


def findings(scenario, fault=None):
    environment = dict(os.environ)
    environment.pop("STARLING_PLANTED_FAULT", None)
    if fault:
        environment["STARLING_PLANTED_FAULT"] = fault
    done = subprocess.run(
        [BINARY, "simulate", "--scenario", SHIPPED / f"{scenario}.toml", "--json"],
        capture_output=True, text=True, env=environment, timeout=120, check=False,
    )
    return [finding["what"] for finding in json.loads(done.stdout)["findings"]]


class PlantedFaults(unittest.TestCase):
    def test_each_is_listed_here(self):
        text = (ROOT / "base/planted_fault.cpp").read_text()
        names = re.findall(r'"([a-z-]+)"', re.search(r"kNames = \{(.*?)\};", text, re.DOTALL).group(1))
        self.assertEqual(sorted(names), sorted(FOUND_BY))

    def test_each_is_found_and_without_it_all_is_well(self):
        for fault, (scenario, words) in FOUND_BY.items():
            with self.subTest(fault=fault):
                self.assertEqual(findings(scenario), [])
                self.assertTrue(any(words in what for what in findings(scenario, fault)))


if __name__ == "__main__":
    main()
