#!/usr/bin/env python3
"""Checks the include rules of the house: islands do not know each other, and each third-party
library has one home. Run from anywhere; prints one line per violation."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ISLANDS = {"membership", "gossip", "compute", "data"}
MODULES = ISLANDS | {"base", "peer"}

# Which of our modules a folder may include.
ALLOWED = {"base": {"base"}, "peer": MODULES}
ALLOWED.update({island: {island, "base"} for island in ISLANDS})

# Header pattern -> predicate on the including file's path from the root.
HOMES = [
    (r"boost/(asio|beast)", lambda p: p.startswith("peer/")),
    (r"openssl/", lambda p: p.startswith("peer/")),
    (r"CLI/", lambda p: p.startswith("peer/")),
    (r"cereal/", lambda p: p.endswith("codec.cpp")),
    (r"(oneapi/dnnl|dnnl|cblas|cuda)", lambda p: p.startswith("compute/")),
    (r"(zlib\.h|jpeglib|png\.h|sndfile)", lambda p: p.startswith("data/")),
    (r"(thread|mutex|condition_variable)$", lambda p: p.split("/")[0] not in ("membership", "gossip")),
    (r"(fstream|filesystem|unistd\.h|sys/socket\.h)$", lambda p: p.split("/")[0] not in ("membership", "gossip", "compute")),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def allowed_modules(path):
    parts = path.split("/")
    if parts[:2] == ["tests", "unit"]:
        return MODULES | {"tests"} if parts[2] == "peer" else {parts[2], "base", "tests"}
    if parts[0] == "tests":
        return MODULES | {"tests"}
    if parts[:2] == ["peer", "virtual"]:
        return {"peer", "membership", "gossip", "data", "base"}
    return ALLOWED[parts[0]]


def violations(path):
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, header = match.groups()
        where = f"{path}:{number}"
        module = header.split("/")[0]
        if bracket == '"' and module in MODULES | {"tests"} and module not in allowed_modules(path):
            yield f"{where}: must not include {header}"
        for pattern, at_home in HOMES:
            if bracket == "<" and re.match(pattern, header) and not path.startswith("tests/") and not at_home(path):
                yield f"{where}: <{header}> belongs elsewhere"


def main():
    files = [
        str(f.relative_to(ROOT))
        for top in sorted(MODULES | {"tests"})
        for f in sorted((ROOT / top).rglob("*"))
        if f.suffix in (".cpp", ".hpp", ".cu", ".cuh")
    ]
    bad = [v for f in files for v in violations(f)]
    print("\n".join(bad) if bad else f"include rules hold in {len(files)} files")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
