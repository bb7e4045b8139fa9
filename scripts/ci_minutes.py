#!/usr/bin/env python3
"""Prints how long tests took, label by label, as a Markdown table.

Reads what `ctest --output-junit FILE` writes, or else the log of the last run in a build folder,
build/dev/Testing/Temporary/LastTest.log, and asks ctest for the labels. A test with two labels
counts in both rows and once in the sum. Minutes are those of the tests, which run beside each other
on as many cores as ctest was given; system tests run alone.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENTRY = re.compile(r"^\d+/\d+ Test: (.*)\n(?:.*\n)*?Test time = +([0-9.]+) sec$", re.MULTILINE)
WITHOUT_LABEL = "(none)"


def die(message):
    raise SystemExit(f"ci_minutes: {message}")


def from_junit(path):
    try:
        cases = xml.etree.ElementTree.parse(path).getroot().iter("testcase")
        return {case.get("name"): float(case.get("time", 0)) for case in cases}
    except OSError as error:
        die(f"cannot read {path}: {error.strerror}")
    except xml.etree.ElementTree.ParseError as error:
        die(f"{path} is no file of --output-junit: {error}")


def from_log(path):
    try:
        found = ENTRY.findall(path.read_text(errors="replace"))
    except OSError as error:
        die(f"cannot read {path}: {error.strerror}; run the tests, or name a JUnit file")
    return {name: float(seconds) for name, seconds in found}


def labels_in(build):
    done = subprocess.run(
        ["ctest", "--test-dir", str(build), "--show-only=json-v1"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        die(f"ctest knows no tests in {build}")
    return {
        test["name"]: next((p["value"] for p in test["properties"] if p["name"] == "LABELS"), [])
        for test in json.loads(done.stdout)["tests"]
    }


def table(times, labels):
    tests_of = collections.defaultdict(list)
    for name in times:
        for label in labels.get(name) or [WITHOUT_LABEL]:
            tests_of[label].append(name)
    rows = [(sum(times[n] for n in tests), label, tests) for label, tests in tests_of.items()]
    yield "| label | tests | minutes | longest |"
    yield "|---|---|---|---|"
    for total, label, tests in sorted(rows, reverse=True):
        longest = max(tests, key=times.get)
        # gtest adds a parameter's bytes to the name where nothing prints it.
        name = longest.split("  #")[0]
        yield f"| `{label}` | {len(tests)} | {total / 60:.1f} | {name}, {times[longest]:.0f} s |"
    yield f"| all | {len(times)} | {sum(times.values()) / 60:.1f} | |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("junit", nargs="?", help="file written by ctest --output-junit")
    parser.add_argument(
        "--build", type=pathlib.Path, default=ROOT / "build/dev", help="build folder (build/dev)"
    )
    options = parser.parse_args()
    log = options.build / "Testing/Temporary/LastTest.log"
    times = from_junit(options.junit) if options.junit else from_log(log)
    if not times:
        die(f"no test ran, says {options.junit or log}")
    print("\n".join(table(times, labels_in(options.build))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
