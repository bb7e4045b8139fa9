#!/usr/bin/env python3
"""Checks that no two classes of the program have the same full name.

The linker keeps one of two functions with the same full name and says nothing, so two classes
`starling::peer::Links` in two files, which need not know of each other, destroy each other's memory.
Classes of one source file alone belong into an unnamed namespace, where this does not look. Tests and
fuzz targets are programs of their own and may use a name again, but none of those that they link.
"""

import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("base", "compute", "data", "gossip", "membership", "peer")
OPENED = re.compile(r"^(?:inline )?namespace ?([\w:]*) ?\{")
# clang-format puts what a namespace holds at the margin, and a class within a class further right.
CLASS = re.compile(r"^(?:class|struct|enum class|union) (?:alignas\(\w+\) )?([\w:]+)(?: final)?\b[^;]*$")


def classes_of(text):
    """Yields the full names of the classes that a file defines outside unnamed namespaces."""
    spaces = []
    for line in text.splitlines():
        opened = OPENED.match(line)
        if opened and not line.rstrip().endswith("}"):
            spaces.append(opened.group(1))
        elif line.startswith("}  // namespace") and spaces:
            spaces.pop()
        elif "" not in spaces and (found := CLASS.match(line)):
            if not found.group(1).startswith("std::"):
                yield "::".join([*spaces, found.group(1)])


def main():
    places = collections.defaultdict(set)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.?pp")):
            for name in classes_of(path.read_text()):
                places[name].add(path.relative_to(ROOT).as_posix())
    twice = {name: files for name, files in places.items() if len(files) > 1}
    for name, files in sorted(twice.items()):
        print(f"{name} is defined in {' and in '.join(sorted(files))}")
    if twice:
        return 1
    print(f"{len(places)} classes have names of their own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
