#!/usr/bin/env python3
"""Checks the order of includes as clang-format would leave it, without clang-format: the header of
the source first, then the groups of .clang-format, each sorted, with one empty line between groups.
It knows what clang-format 14 does with what stands here, not every option that there is.
Prints one line for each file whose order differs.
"""

import argparse
import pathlib
import re
import sys

import includes

INCLUDE = re.compile(r'^[\t ]*#[\t ]*include[\t ]*("[^"]+"|<[^>]+>)')
STYLE = ".clang-format"
WITHOUT_CATEGORY = 1 << 30


class Style:
    """What .clang-format says of includes; its other lines are of no interest here."""

    def __init__(self, text):
        patterns = re.findall(r"^ *- Regex: *'([^']*)'\n *Priority: *(\d+)$", text, re.MULTILINE)
        if not patterns:
            raise SystemExit(f"check_include_order: found no IncludeCategories in {STYLE}")
        # clang-format 14 takes these patterns, and names of headers, without regard to case.
        self.categories = [(re.compile(p, re.IGNORECASE), int(number)) for p, number in patterns]
        main = re.search(r"^IncludeIsMainRegex: *'([^']*)'$", text, re.MULTILINE)
        self.main = main[1] if main else "$"

    def category(self, header):
        return next((n for p, n in self.categories if p.search(header)), WITHOUT_CATEGORY)

    def is_main(self, header, path):
        stem, name = pathlib.Path(header[1:-1]).stem, path.stem
        return (
            path.suffix == ".cpp"
            and header.startswith('"')
            and name.lower().startswith(stem.lower())
            and re.search(re.escape(stem) + self.main, name, re.IGNORECASE) is not None
        )


def blocks(lines):
    """Runs of includes, as (index of the first line, lines); an empty line does not end one."""
    first, last = None, None
    for i, line in enumerate([*lines, "end"]):
        if INCLUDE.match(line):
            first, last = (i if first is None else first), i
        elif line.strip() and first is not None:
            yield first, lines[first : last + 1]
            first = None


def in_order(block, path, style, may_have_main):
    """The block as it should be."""
    placed = []
    for line in dict.fromkeys(line for line in block if line.strip()):
        header = INCLUDE.match(line)[1]
        category = style.category(header)
        if may_have_main and style.is_main(header, path):
            category, may_have_main = 0, False
        placed.append((category, header, line))
    placed.sort(key=lambda entry: entry[:2])
    result = []
    for i, (category, _, line) in enumerate(placed):
        if i and category != placed[i - 1][0]:
            result.append("")
        result.append(line)
    return result


def violation(path, text, style):
    for number, (first, block) in enumerate(blocks(text.splitlines())):
        wanted = in_order(block, pathlib.PurePath(path), style, number == 0)
        for i, (now, then) in enumerate(zip([*block, None], [*wanted, None])):
            if now != then:
                what = "nothing more" if then is None else then or "an empty line"
                return f"{path}:{first + i + 1}: order of includes: here belongs {what}"
    return None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    style = Style((includes.ROOT / STYLE).read_text())
    tree = includes.read_tree()
    bad = [v for path, text in tree.items() if (v := violation(path, text, style))]
    print("\n".join(bad) if bad else f"includes are in order in {len(tree)} files")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
