#!/usr/bin/env python3
"""Runs clang-tidy with the repository's .clang-tidy on changed sources, one process on each core.

Reads build/dev/compile_commands.json, which `scripts/dev build` or `cmake --preset dev` writes, and
leaves out of each command what g++ knows and clang does not. Prints each finding once, however many
sources include the header that it lies in. Exit 1 when there is a finding.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATABASE = "build/dev/compile_commands.json"
# Flags of g++ that clang does not know, and what costs time and finds nothing that g++ would not:
# warnings are the compiler's business.
NOT_FOR_CLANG = re.compile(r"-W.*|-fanalyzer|-g\d?|-fno-canonical-system-headers")
FINDING = re.compile(
    r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):(?P<column>\d+): (warning|error): (?P<what>.*)$"
)
# Where the base is unknown, this many commits count as the change.
COMMITS_WITHOUT_BASE = 10


def die(message):
    print(f"tidy: {message}", file=sys.stderr)
    raise SystemExit(2)


def git(*arguments):
    result = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return result.stdout.strip() if result.returncode == 0 else None


def default_base():
    """The merge base with origin/main; where that is HEAD itself or unknown, ten commits ago, or
    the first commit of a history that is shorter."""
    head = git("rev-parse", "HEAD")
    if head is None:
        die("git knows no commit here; name sources with --files, or take --all")
    base = git("merge-base", "HEAD", "origin/main")
    if base and base != head:
        return base
    for back in range(COMMITS_WITHOUT_BASE, 0, -1):
        base = git("rev-parse", "--verify", "--quiet", f"HEAD~{back}")
        if base:
            return base
    return head


def changed_paths(base):
    """What differs from the base in the work tree, and what is new and not yet added."""
    if git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}") is None:
        die(f"there is no commit '{base}'")
    changed = git("diff", "--name-only", "--diff-filter=d", base) or ""
    new = git("ls-files", "--others", "--exclude-standard") or ""
    return [path for path in (changed + "\n" + new).splitlines() if path]


def commands():
    """Path from the root -> entry of the database, without the compiler's output and warnings."""
    try:
        entries = json.loads((ROOT / DATABASE).read_text())
    except FileNotFoundError:
        die(f"there is no {DATABASE}; run scripts/dev build, or cmake --preset dev")
    found = {}
    for entry in entries:
        words = shlex.split(entry["command"])
        if "ccache" in words[0]:
            words = words[1:]
        kept = []
        skip = False
        for word in words:
            if skip:
                skip = False
            elif word in ("-o", "-include"):  # the header is one that g++ has compiled before
                skip = True
            elif not NOT_FOR_CLANG.fullmatch(word):
                kept.append(word)
        for source in sources_in(entry["file"]):
            alone = [source if word == entry["file"] else word for word in kept]
            found.setdefault(
                os.path.relpath(source, ROOT), {**entry, "file": source, "command": shlex.join(alone)}
            )
    return found


def sources_in(path):
    """The sources that CMake compiles as one with this file, which it wrote, or the file itself."""
    if pathlib.Path(path).parent.name != "Unity":
        return [path]
    return re.findall(r'^#include "(.*)"$', pathlib.Path(path).read_text(), re.MULTILINE)


def sources_of(changed, known):
    """The changed sources, and the source beside each changed header."""
    wanted = set()
    for path in changed:
        stem, suffix = os.path.splitext(path)
        if suffix in (".cpp", ".hpp") and f"{stem}.cpp" in known:
            wanted.add(f"{stem}.cpp")
    return sorted(wanted)


def tidy(program, database, path, deadline):
    """Path, seconds and result; the result is None if there was no time left to begin."""
    began = time.monotonic()
    if began > deadline:
        return path, 0, None
    result = subprocess.run(
        [program, "--quiet", "-p", database, path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return path, time.monotonic() - began, result


def findings_of(output):
    """(path:line:column, what) -> all lines of the finding, its notes included; and whether there
    was one outside the tree: a library's template that the analyzer follows is not ours."""
    found, outside, lines = {}, False, None
    for line in output.splitlines():
        match = FINDING.match(line)
        if match:
            path = os.path.relpath(os.path.join(ROOT, match["path"]), ROOT)
            where = f"{path}:{match['line']}:{match['column']}"
            lines = [f"{where}: {match['what']}"]
            if path.startswith("../"):
                outside = outside or "[clang-diagnostic-error" not in match["what"]
            else:
                lines = found.setdefault((where, match["what"]), lines)
        elif lines is not None:
            lines.append(line)
    return found, outside


def run_all(program, database, paths, options):
    """Findings, sources that could not be read, and those for which there was no time."""
    seen, broken, late = {}, [], []
    deadline = time.monotonic() + 60 * options.minutes
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        pending = [pool.submit(tidy, program, database, path, deadline) for path in paths]
        for future in concurrent.futures.as_completed(pending):
            path, seconds, result = future.result()
            if result is None:
                late.append(path)
                continue
            if options.verbose:
                print(f"-- {path}: {seconds:.1f} s", flush=True)
            found, outside = findings_of(result.stdout)
            # clang-tidy skips a source whose command it does not find, and ends with 0.
            skipped = "Compile command not found" in result.stdout + result.stderr
            if skipped or (result.returncode != 0 and not found and not outside):
                broken.append(path)
                print(f"{path}: clang-tidy failed\n{result.stdout}{result.stderr}", flush=True)
            for key, lines in found.items():
                if key not in seen:
                    print("\n".join(lines), flush=True)
                seen.setdefault(key, lines)
    return len(seen), broken, late


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/dev tidy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "base",
        nargs="?",
        help="check what changed since this commit; by default the merge base with origin/main, "
        f"or {COMMITS_WITHOUT_BASE} commits ago where there is none",
    )
    parser.add_argument("--all", action="store_true", help="check every source")
    parser.add_argument("--files", nargs="+", metavar="FILE", help="check these sources")
    parser.add_argument(
        "--max", type=int, metavar="N", help="check at most N sources, those changed last"
    )
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="begin no source after this long"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--verbose", action="store_true", help="print how long each source took")
    return parser.parse_args(arguments)


def newest_first(paths):
    """By the time of the last commit; what is not committed comes first."""
    order, never = {}, 1 << 30
    log = git("log", "-n", "300", "--format=", "--name-only") or ""
    for path in log.splitlines():
        order.setdefault(os.path.splitext(path)[0], len(order) + 1)
    order |= {os.path.splitext(path)[0]: 0 for path in changed_paths("HEAD")}
    return sorted(paths, key=lambda path: (order.get(os.path.splitext(path)[0], never), path))


def main(arguments):
    options = parse(arguments)
    program = shutil.which("clang-tidy")
    if program is None:
        die("clang-tidy is not installed; on Debian: apt-get install clang-tidy")
    known = commands()
    if options.all:
        paths = sorted(path for path in known if not path.startswith(".."))
    elif options.files:
        paths = options.files
        strange = [path for path in paths if path not in known]
        if strange:
            die(f"{DATABASE} does not compile {strange[0]}")
    else:
        paths = sources_of(changed_paths(options.base or default_base()), known)
    # What a limit leaves out is what changed longest ago.
    paths = newest_first(paths)
    left = max(0, len(paths) - options.max) if options.max is not None else 0
    paths = paths[: options.max]
    # A folder of its own, since two runs may go on at a time.
    with tempfile.TemporaryDirectory(prefix="starling-tidy-") as database:
        entries = json.dumps([known[path] for path in paths])
        pathlib.Path(database, "compile_commands.json").write_text(entries)
        count, broken, late = run_all(program, database, paths, options)
    left += len(late)
    rest = f"; {left} more are left to scripts/nightly" if left else ""
    print(f"clang-tidy: {count} findings in {len(paths) - len(late)} sources{rest}")
    return 1 if count or broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
