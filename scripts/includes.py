"""The includes of the tree as a graph: what check_layers.py checks and include_graph.py counts.

A *unit* is a header with its sources. A source belongs to the header with its own name beside it. A
source without one, such as links_lanes.cpp, belongs to the header beside it whose name it continues
(links.hpp), the longest if there are several, if it includes that header; otherwise it is a unit of
its own.

The *view* of a folder has one node for each unit that lies directly in it and one for each folder
below, with all that lies in there. The view of the whole tree has one node for each folder without
folders in it, a *room*, and one for each unit that lies beside folders.
"""

import io
import os
import pathlib
import re
import subprocess
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOPS = ("base", "membership", "gossip", "compute", "data", "peer", "tests", "measure")
SUFFIXES = (".cpp", ".hpp", ".cu", ".cuh")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def wanted(path):
    return path.split("/")[0] in TOPS and path.endswith(SUFFIXES)


def read_tree(revision=None):
    """Path from the root -> text, of the files on disk or of a revision that is not checked out."""
    if revision is None:
        found = (f for top in TOPS for f in (ROOT / top).rglob("*") if f.is_file())
        return {
            path: file.read_text()
            for path, file in sorted((str(f.relative_to(ROOT)), f) for f in found)
            if wanted(path)
        }
    done = subprocess.run(
        ["git", "archive", "--format=tar", revision], cwd=ROOT, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"includes: git knows no revision '{revision}'")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        members = [m for m in archive if m.isfile() and wanted(m.name)]
        return {m.name: archive.extractfile(m).read().decode() for m in members}


def includes_of(text):
    """Line number, bracket and header of each include."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


class Graph:
    """Files, the units that they belong to, and the includes between them."""

    def __init__(self, tree):
        self.files = sorted(tree)
        known = set(tree)
        # (file, line, included file), of files of ours alone.
        self.includes = []
        for path in self.files:
            for number, bracket, header in includes_of(tree[path]):
                beside = os.path.join(os.path.dirname(path), header)
                target = header if header in tree else beside if beside in tree else None
                if bracket == '"' and target is not None:
                    self.includes.append((path, number, target))
        included = {}
        for path, _, target in self.includes:
            included.setdefault(path, set()).add(target)
        self.unit = {path: unit_of(path, known, included.get(path, ())) for path in self.files}
        self.folders = sorted({parent for path in self.files for parent in parents(path)})
        with_folders = {os.path.dirname(folder) for folder in self.folders}
        self.leaves = [folder for folder in self.folders if folder not in with_folders]

    def arrows(self, node_of):
        """(node, node) -> the includes that make the arrow. node_of gives None for outsiders."""
        found = {}
        for path, number, target in self.includes:
            start, end = node_of(path), node_of(target)
            if start is not None and end is not None and start != end:
                found.setdefault((start, end), []).append((path, number, target))
        return found

    def node_in(self, folder):
        """The function from a file to its node in the view of a folder; the tree's own is ''."""
        prefix = f"{folder}/" if folder else ""

        def node_of(path):
            if not path.startswith(prefix):
                return None
            inner = path[len(prefix) :].split("/")
            return self.unit[path] if len(inner) == 1 else prefix + inner[0]

        return node_of

    def room_of(self, path):
        """The node of a file in the view of the whole tree."""
        folder = os.path.dirname(path)
        return folder if folder in self.leaves else self.unit[path]

    def nodes(self, node_of):
        return sorted({node for node in map(node_of, self.files) if node is not None})


def unit_of(path, known, included):
    stem = os.path.splitext(path)[0]
    if not path.endswith(".cpp") or f"{stem}.hpp" in known:
        return stem
    folder, name = os.path.split(stem)
    words = name.split("_")
    for count in range(len(words) - 1, 0, -1):
        shorter = os.path.join(folder, "_".join(words[:count]))
        if f"{shorter}.hpp" in included:
            return shorter
    return stem


def parents(path):
    """The folders above a file, the nearest first."""
    folder = os.path.dirname(path)
    while folder:
        yield folder
        folder = os.path.dirname(folder)


def merged(node_of, pairs):
    """The same function with each pair of units as one node, named by its first."""
    names = {second: first for first, second in pairs}
    return lambda path: names.get(node_of(path), node_of(path))


def components(nodes, arrows):
    """Strongly connected components (Tarjan's algorithm), each after all that it points to."""
    targets = {node: [] for node in nodes}
    for start, end in sorted(arrows):
        targets[start].append(end)
    index, low, stack, found = {}, {}, [], []

    def open_node(node):
        index[node] = low[node] = len(index)
        stack.append(node)

    for root in nodes:
        if root in index:
            continue
        open_node(root)
        path = [(root, iter(targets[root]))]
        while path:
            node, rest = path[-1]
            end = next(rest, None)
            if end is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    found.append(sorted(stack[at:]))
                    del stack[at:]
            elif end not in index:
                open_node(end)
                path.append((end, iter(targets[end])))
            elif end in stack:
                low[node] = min(low[node], index[end])
    return found


def circles(nodes, arrows):
    return [members for members in components(nodes, arrows) if len(members) > 1]


def shortest_circle(members, arrows):
    """The nodes of a shortest way round inside a component, the first one again at its end."""
    inside = set(members)
    targets = {node: sorted(e for s, e in arrows if s == node and e in inside) for node in members}
    best = None
    for start in members:
        came_from, line = {}, [start]
        for node in line:
            for end in targets[node]:
                if end not in came_from:
                    came_from[end] = node
                    line.append(end)
        way = [start]
        while start in came_from and (len(way) == 1 or way[-1] != start):
            way.append(came_from[way[-1]])
        if len(way) > 1 and (best is None or len(way) < len(best)):
            best = way[::-1]
    return best


def floors(nodes, arrows):
    """Nodes on the longest way down, a circle being one node."""
    found = components(nodes, arrows)
    component_of = {node: i for i, members in enumerate(found) for node in members}
    height = [1] * len(found)
    below = [set() for _ in found]
    for start, end in arrows:
        if component_of[start] != component_of[end]:
            below[component_of[start]].add(component_of[end])
    for i in range(len(found)):
        height[i] = 1 + max((height[j] for j in below[i]), default=0)
    return max(height, default=0)


def fewest_up(nodes, arrows):
    """Arrows that run up in the best order found, where none is declared (Eades, Lin, Smyth 1993).
    It is 0 exactly where there is no circle; otherwise it is an upper bound of the fewest."""
    count = 0
    for members in circles(nodes, arrows):
        left = set(members)
        inner = {(s, e) for s, e in arrows if s in left and e in left}
        tops, bottoms = [], []
        while left:
            out_of = {n: sum(1 for s, e in inner if s == n and e in left) for n in left}
            into = {n: sum(1 for s, e in inner if e == n and s in left) for n in left}
            sinks = sorted(n for n in left if out_of[n] == 0)
            sources = sorted(n for n in left if into[n] == 0)
            if sinks:
                bottoms.insert(0, sinks[0])
                left.discard(sinks[0])
                continue
            top = sources[0] if sources else max(sorted(left), key=lambda n: out_of[n] - into[n])
            tops.append(top)
            left.discard(top)
        place = {node: i for i, node in enumerate(tops + bottoms)}
        count += sum(1 for s, e in inner if place[s] > place[e])
    return count
