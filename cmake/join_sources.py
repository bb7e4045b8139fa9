"""Says which sources of a target may be compiled as one: `join_sources.py ROOT SOURCE...` in the target's folder.

Prints `BATCH;SOURCE;SOURCE...` for each batch. What a source declares in an anonymous namespace is its own, until
another is compiled with it. So two never share a batch when both declare a name, or when one declares it and
the other has it from a header of this project. Whoever defines macros or includes the kernel's headers, which
contradict the C library's, is compiled alone, and so is whoever is in no batch.
"""

import os
import re
import sys

SOURCES_MAX = 12
LINES_MAX = 3500
COMMENT_OR_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
ALONE = re.compile(r"^\s*#\s*(define|undef|pragma)\b|#\s*include\s*<(linux|asm)/", re.M)
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)
# `using a::b;` may be said twice; but whoever declares a b of its own contradicts it.
BORROWED = re.compile(r"^using (?:\w+::)+(\w+);")
# Other names of namespaces may be said twice, and a test's name is its own.
NOBODYS = re.compile(r"(using )?namespace\b|(TYPED_)?TEST(_[FP])?\(|INSTANTIATE_|CEREAL_|static_assert\b")
TYPE = re.compile(r"^(?:template <.*> )?(?:struct|class|union|enum(?: class)?|using|concept)\s+(\w+)")
OTHER = re.compile(r"([A-Za-z_]\w*)\s*(?:\(|=|\{|\[|;)")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def borrowed(text):
    """The names that a file takes from other namespaces, one by one."""
    return {found.group(1) for line in text.splitlines() if (found := BORROWED.match(line))}


def declared(text, everywhere=False):
    """The names that the anonymous namespaces, or all, of a formatted file declare: there, what stands at
    the beginning of a line begins a declaration."""
    # Comments that end a namespace say so.
    marked = re.sub(r"^\}\s*// namespace.*$", "} namespace", text, flags=re.M)
    names, inside, rest = set(), 0, ""
    for line in COMMENT_OR_TEXT.sub(" ", marked).splitlines():
        if re.match(r"(inline )?namespace\b.*\{", line):
            inside += 1 if inside or everywhere or line.startswith("namespace {") else 0
            continue
        if not inside:
            continue
        if line.startswith("}") and not line.startswith("};"):
            # The end of a function or of the namespace; clang-format keeps both at the beginning of the line.
            inside -= "namespace" in line
            continue
        if rest and line.startswith(" "):
            line = f"{rest} {line.strip()}"
        elif not line or line[0] in " #}" or NOBODYS.match(line) or BORROWED.match(line):
            rest = ""
            continue
        found = TYPE.match(line) or OTHER.search(re.sub(r"<[^()]*>|alignas\(\w+\)|\[\[\w+\]\]", "", line))
        rest = "" if found else line
        if found:
            names.add(found.group(1))
    return names


class Headers:
    """What the project's headers declare, each read once."""

    def __init__(self, root):
        self.root = root
        self.known = {}

    def names(self, text, folder):
        """All names of the headers that a text includes, be it through others."""
        paths, waiting = set(), [(text, folder)]
        while waiting:
            text, folder = waiting.pop()
            for include in INCLUDE.findall(text):
                for place in (self.root, folder):
                    path = os.path.normpath(os.path.join(place, include))
                    if path not in paths and os.path.exists(path):
                        paths.add(path)
                        waiting.append((self.read(path)[0], os.path.dirname(path)))
                        break
        return set().union(*(self.read(path)[1] for path in paths))

    def read(self, path):
        if path not in self.known:
            text = read(path)
            self.known[path] = text, declared(text, everywhere=True)
        return self.known[path]


class Source:
    def __init__(self, headers, path):
        self.path = path
        text = read(path)
        self.lines = text.count("\n")
        self.alone = bool(ALONE.search(text))
        self.declared = declared(text)
        self.named = self.declared | borrowed(text) | headers.names(text, os.path.dirname(path))

    def fits(self, other):
        return self.declared.isdisjoint(other.named) and other.declared.isdisjoint(self.named)


def batches(sources):
    """Puts each source into the first batch that it fits, the largest first."""
    result = []
    for source in sorted(sources, key=lambda source: (-len(source.declared), source.path)):
        for batch in result:
            lines = source.lines + sum(other.lines for other in batch)
            if len(batch) < SOURCES_MAX and lines <= LINES_MAX and all(map(source.fits, batch)):
                batch.append(source)
                break
        else:
            result.append([source])
    return [batch for batch in result if len(batch) > 1]


def main(root, *paths):
    headers = Headers(root)
    sources = [Source(headers, path) for path in paths if path.endswith(".cpp")]
    for number, batch in enumerate(batches([source for source in sources if not source.alone])):
        print(";".join([f"batch{number}", *sorted(source.path for source in batch)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
