"""Finds the command lines that documents and --help promise, for documented_commands_test.py.

In Markdown: lines of fenced blocks that begin with `$ starling ` or `starling `, continued by a
backslash at their end, and inline code that begins with `starling `. In --help: the indented lines
below Example or Examples that begin so. What stands behind ` #`, or behind three blanks in --help,
is a remark. Sections whose heading begins with "Not there yet" promise nothing.

A word is a placeholder if it, or a part of it between `=`, `:`, `,`, `|`, `/` and `.`, is written
in capitals (HOST:PORT, samples=N, LINE), or if it is `...` or begins with `[` or `<`.
"""

import dataclasses
import re
import shlex

FENCE = re.compile(r"^(```|~~~)")
HEADING = re.compile(r"^#+ +(.*)$")
NOTHING_PROMISED = "not there yet"
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
CAPITALS = re.compile(r"[A-Z][A-Z0-9_-]*")
FLAG = re.compile(r"--[a-z][a-z0-9-]*")


@dataclasses.dataclass(frozen=True)
class Line:
    where: str
    text: str

    @property
    def words(self):
        return shlex.split(self.text)

    @property
    def has_placeholder(self):
        return any(is_placeholder(word) for word in self.words[1:])

    def __str__(self):
        return f"{self.where}: {self.text}"


def is_placeholder(word):
    if word.startswith(("...", "[", "<")) or word == "…":
        return True
    return any(CAPITALS.fullmatch(part) for part in re.split(r"[=:,|/.]", word))


def promised(text):
    """Numbered lines of a Markdown text, without the sections that promise nothing."""
    silent = fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        heading = None if fenced else HEADING.match(line)
        if heading:
            silent = heading[1].lower().startswith(NOTHING_PROMISED)
        if not silent:
            yield number, line


def blocks_and_prose(text):
    """Lines inside fenced blocks, and the rest as one text whose lines stay numbered."""
    fenced, inside, outside = False, [], []
    for number, line in promised(text):
        if FENCE.match(line):
            fenced = not fenced
            outside.append((number, ""))
        else:
            (inside if fenced else outside).append((number, line))
    return inside, outside


def joined(lines):
    """Commands among numbered lines, with what a backslash continues."""
    open_number, open_text = None, ""
    for number, line in lines:
        stripped = line.strip().removeprefix("$ ")
        if open_number is None:
            if not stripped.startswith("starling "):
                continue
            open_number = number
        open_text += " " + stripped.removesuffix("\\").strip()
        if not stripped.endswith("\\"):
            yield open_number, open_text
            open_number, open_text = None, ""


def without_remark(text):
    return re.split(r"\s#(?=\s)", text)[0].strip()


def spans(prose):
    """Inline code with the number of its first line; code may go on in the next line."""
    text = "\n".join(line for _, line in prose)
    numbers = [number for number, _ in prose]
    for match in INLINE.finditer(text):
        yield numbers[text.count("\n", 0, match.start())], " ".join(match[1].split())


def from_markdown(name, text):
    inside, prose = blocks_and_prose(text)
    found = [Line(f"{name}:{n}", without_remark(t)) for n, t in joined(inside)]
    found += [Line(f"{name}:{n}", t) for n, t in spans(prose) if t.startswith("starling ")]
    return found


def flags_of_markdown(name, text):
    """Flags in inline code that begins with one: `--until samples=N`."""
    _, prose = blocks_and_prose(text)
    return [
        (f"{name}:{number}", flag)
        for number, code in spans(prose)
        if code.startswith("--")
        for flag in FLAG.findall(code)
    ]


def from_help(command, text):
    match = re.search(r"^Examples?:\n(.*)", text, re.MULTILINE | re.DOTALL)
    numbered = enumerate(match[1].splitlines() if match else [], 1)
    cut = [(n, re.split(r"(?<=\S)   +", line)[0] if line.strip() else line) for n, line in numbered]
    where = f"starling {' '.join(command)} --help"
    return [Line(where, without_remark(text)) for _, text in joined(cut)]


def subcommands(help_text):
    match = re.search(r"^Subcommands:\n((?:  .*\n)+)", help_text, re.MULTILINE)
    return re.findall(r"^  (\S+)", match[1], re.MULTILINE) if match else []
