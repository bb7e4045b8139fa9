#!/usr/bin/env python3
"""Checks that no function is longer than 70 lines and no file longer than 500, in C++ and Python.

What is longer today stands in scripts/length_exceptions.txt, which may only shrink: an entry that
is no longer needed, or allows more than is there, is a violation, too. Prints one line for each.

C++ is read by its braces, without a compiler: a body that opens where a namespace or a class could
hold a function is one, and is counted from the line on which its declaration begins.
"""

import argparse
import ast
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXCEPTIONS = "scripts/length_exceptions.txt"
FUNCTION_MAX = 70
FILE_MAX = 500
HEAD = """\
# What is longer than a function (70 lines) or a file (500) may be. This list may only shrink:
# scripts/check_lengths.py refuses an entry that is no longer needed. PATH[:FUNCTION] LINES
"""


# C++.

QUIET = re.compile(
    r"""
    //[^\n]* | /\*.*?\*/                                          # comments
    | R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"                         # raw strings
    | "(?:\\.|[^"\\\n])*"                                         # strings
    | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'                         # characters, not digit separators
    | ^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*                              # preprocessor lines
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b(?![^<]*>)")
# Declarations whose brace opens neither a function nor a scope: `int a[] = {`, `std::mutex lock{`.
NAME = re.compile(r"([~\w:]+|operator\s*(?:\(\)|\[\]|[^\s(]+))\s*(?:<[^<>()]*>)?\s*\(")


def quiet(text):
    """The text without what could hold braces that are none; lines stay where they are."""
    return QUIET.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def opens(head):
    """What a brace after this head opens, outside functions: 'scope', 'function' or 'value'."""
    head = re.sub(r"\btemplate\s*<[^{;]*?>\s*(?=\b(class|struct|auto|void|[\w:]+))", " ", head)
    if SCOPE.search(head.split("(")[0]) or re.search(r"\bextern\s*$", head):
        return "scope"
    if "(" not in head or re.search(r"=\s*$", head):
        return "value"
    # In `Name::Name(int a) : first_{a}, second_(a) {` a name before the brace is a member's.
    colon = re.search(r"\)\s*(noexcept)?\s*:(?!:)", head)
    if colon and re.search(r"[\w>]\s*$", head[colon.end() :]):
        return "value"
    return "function"


def cpp_functions(text):
    """Name and lines of each function, a lambda being part of the one that it lies in."""
    body = quiet(text)
    stack = []  # what each open brace opened; functions as (name, first line)
    head, head_line, line, depth = "", None, 1, 0
    for character in body:
        if character == "\n":
            line += 1
        inside = any(kind != "scope" for kind in stack)
        if character == "{":
            kind = "inner" if inside or depth else opens(head)
            if kind == "function":
                name = NAME.search(head)
                kind = (name[1] if name else "?", head_line)
            stack.append(kind)
            if kind == "scope":
                head, head_line = "", None
        elif character == "}":
            kind = stack.pop() if stack else "scope"
            if isinstance(kind, tuple):
                yield kind[0], line - kind[1] + 1
            if kind == "scope" or isinstance(kind, tuple):
                head, head_line = "", None
            elif not any(other != "scope" for other in stack):
                head += "}"
        elif not inside:
            depth += (character == "(") - (character == ")")
            if character == ";" and depth == 0:
                head, head_line = "", None
            else:
                if head_line is None and not character.isspace():
                    head_line = line
                head += character
                if head.rstrip() in ("public:", "private:", "protected:"):
                    head, head_line = "", None
    if stack or depth:
        raise ValueError("braces do not match")


# Python.


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.end_lineno - node.lineno + 1


# Both.


def sources():
    """The tracked sources, and in a tree without git all that lie in it."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    paths = done.stdout.splitlines() if done.returncode == 0 else []
    if not paths:
        paths = [os.path.relpath(p, ROOT) for p in ROOT.rglob("*") if p.is_file()]
        paths = [p for p in paths if not p.startswith(("build/", "."))]
    return sorted(p for p in paths if p.endswith((".cpp", ".hpp", ".py")) and (ROOT / p).exists())


def measure(path):
    """PATH or PATH:FUNCTION -> lines, of what is too long. Of functions with one name the longest
    counts."""
    text = (ROOT / path).read_text()
    functions = python_functions(text) if path.endswith(".py") else cpp_functions(text)
    lines = text.count("\n")
    found = {path: lines} if lines > FILE_MAX else {}
    for name, count in functions:
        if count > FUNCTION_MAX:
            key = f"{path}:{name}"
            found[key] = max(found.get(key, 0), count)
    return found


def read_exceptions():
    """Entry -> allowed lines and the line of the file that says so."""
    found = {}
    for number, line in enumerate((ROOT / EXCEPTIONS).read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            entry, _, count = line.rpartition(" ")
            if not entry or not count.isdigit():
                raise SystemExit(f"{EXCEPTIONS}:{number}: '{line}' is no PATH[:FUNCTION] LINES")
            found[entry] = int(count), number
    return found


def violations(found, allowed):
    for entry, count in found.items():
        limit = FUNCTION_MAX if ":" in entry else FILE_MAX
        if entry not in allowed:
            yield f"{entry}: {count} lines, at most {limit} are allowed"
        elif count > allowed[entry][0]:
            yield f"{entry}: {count} lines, its exception allows {allowed[entry][0]}"
    for entry, (count, number) in allowed.items():
        where = f"{EXCEPTIONS}:{number}"
        if entry not in found:
            yield f"{where}: {entry} needs no exception any more; take the line out"
        elif count > found[entry]:
            yield f"{where}: {entry} has {found[entry]} lines now; lower {count} to {found[entry]}"


def renamed(entry, count, allowed, found):
    """Whether an entry that is gone allowed this much under another folder: the file has moved."""
    name = os.path.basename(entry)
    return any(
        os.path.basename(old) == name and old not in found and limit >= count
        for old, (limit, _) in allowed.items()
    )


def shrink(found, allowed):
    """Writes the list anew; refuses what is new or has grown, but follows files that have moved."""
    grown = [
        entry
        for entry, count in found.items()
        if count > allowed.get(entry, (0,))[0] and not renamed(entry, count, allowed, found)
    ]
    if grown:
        raise SystemExit(f"check_lengths: the list may only shrink, and {grown[0]} is not in it")
    lines = [f"{entry} {count}\n" for entry, count in sorted(found.items())]
    (ROOT / EXCEPTIONS).write_text(HEAD + "".join(lines))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--write", action="store_true", help="shrink the list to what is needed; follow moves"
    )
    options = parser.parse_args()
    found, files = {}, sources()
    for path in files:
        try:
            found |= measure(path)
        except (ValueError, SyntaxError) as error:
            raise SystemExit(f"{path}: cannot be measured: {error}") from error
    allowed = read_exceptions()
    if options.write:
        shrink(found, allowed)
        allowed = read_exceptions()
    bad = [*violations(found, allowed)]
    good = f"lengths hold in {len(files)} files, {len(allowed)} exceptions"
    print("\n".join(bad) if bad else good)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
