#!/usr/bin/env python3
"""Checks that every path of this repository that a page names exists, and that links lead somewhere.
Prints one line for each that does not.
"""

import argparse
import glob
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A path in backticks, from the root: a file, a folder, or a unit without its ending.
PATH = re.compile(
    r"`((?:base|membership|gossip|compute|data|peer|tests|scripts|measure|docs|cmake)/[\w./*-]*)`"
)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def pages():
    """All pages but those of a build folder. Works without git, as in an unpacked archive."""
    tops = [top for top in sorted(ROOT.iterdir()) if top.name not in ("build", ".git")]
    found = [page for top in tops if top.is_dir() for page in sorted(top.rglob("*.md"))]
    return [*(top for top in tops if top.suffix == ".md"), *found]


def exists(base, name):
    path = str(base / name)
    return bool(glob.glob(path) or glob.glob(f"{path}.?pp") or glob.glob(f"{path}_*.cpp"))


def violations(page):
    where = page.relative_to(ROOT)
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            yield f"{where}:{number}: a merge has left both sides here"
        for name in PATH.findall(line):
            if not exists(ROOT, name):
                yield f"{where}:{number}: there is no {name}"
        for name in LINK.findall(line):
            if not exists(page.parent, name):
                yield f"{where}:{number}: the link to {name} leads nowhere"


def main():
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = pages()
    bad = [violation for page in found for violation in violations(page)]
    print("\n".join(bad) if bad else f"paths and links hold in {len(found)} pages")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
