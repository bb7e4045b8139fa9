#!/usr/bin/env python3
"""Checks who includes whom: islands do not know each other, each third-party library has one home,
rooms include only rooms below them, and there is no circle. Prints one line for each violation.

The tables at the head of this file say what is allowed. scripts/include_graph.py prints numbers.
"""

import argparse
import re
import sys

import includes

ISLANDS = {"membership", "gossip", "compute", "data"}
MODULES = ISLANDS | {"base", "peer"}

# Which of our modules a folder may include.
ALLOWED = {"base": {"base"}, "peer": MODULES}
ALLOWED.update({island: {island, "base"} for island in ISLANDS})

# The rooms of peer/ from the ground up, and which of the rooms above a line it may include.
PEER_ROOMS = {
    "machine": "",
    "crypto": "machine",
    "http": "machine",
    "streams": "machine crypto",
    "terms": "machine crypto",
    "members": "machine crypto streams",
    "averaging": "machine streams terms",
    "transfer": "machine streams terms",
    "training": "machine crypto terms",
    "observe": "machine crypto streams terms members",
    "start": "machine crypto streams terms averaging transfer training",
    "session": "streams terms transfer",
    "node": "machine crypto http streams terms members averaging transfer training observe start session",
    "scenario": "",
    "virtual": "scenario machine crypto streams terms members transfer training session",
    "fleet": "scenario machine terms",
    "commands": "machine crypto http streams terms averaging training node scenario virtual fleet",
    "main.cpp": "machine commands",
}

# The rooms of compute/ from the ground up; each may include all before it.
COMPUTE_ROOMS = (
    "values",
    "metrics",
    "simd",
    "arena",
    "graph",
    "device",
    "lowering",
    "reference",
    "onnx",
    "files",
    "models",
    "cpu/library",
    "cpu/loops",
    "cpu/lowering",
    "cpu",
    "gpu",
    "training",
)

# A front door and the machine behind it include each other; to every other file they are one.
PIMPL_PAIRS = [
    ("membership/swim", "membership/machine"),
    ("gossip/averager", "gossip/machine"),
    ("compute/onnx/import", "compute/onnx/importer"),
    ("peer/streams/connection", "peer/streams/tcp_connection"),
    ("peer/virtual/swarm", "peer/virtual/swarm_node"),
]

# Header pattern -> predicate on the including file's path from the root.
HOMES = [
    (r"boost/(asio|beast)", lambda p: p.startswith("peer/")),
    (r"openssl/", lambda p: p.startswith("peer/crypto/")),
    (r"prometheus/", lambda p: p.startswith("peer/observe/")),
    (r"CLI/", lambda p: p.startswith(("peer/commands/", "peer/main.cpp"))),
    (r"cereal/", lambda p: p.endswith("codec.cpp")),
    (r"(oneapi/dnnl|dnnl|cblas|cuda)", lambda p: p.startswith("compute/")),
    (r"(jpeglib|jerror|turbojpeg)", lambda p: p == "data/media/jpeg.cpp"),
    (r"png\.h", lambda p: p in ("data/media/png.cpp", "data/media/draw.cpp")),
    (r"(sndfile|samplerate)", lambda p: p == "data/media/audio.cpp"),
    (r"archive(_entry)?\.h", lambda p: p == "data/archive/archive.cpp"),
    (r"pugixml", lambda p: p == "data/formats/voc.cpp"),
    (r"toml\+\+", lambda p: p == "peer/scenario/table_reader.hpp"),
    (r"sqlite3\.h", lambda p: p == "data/tables/sqlite.cpp"),
    (r"(snappy|zstd)", lambda p: p == "data/parquet/unpack.cpp"),
    (r"(zlib|simdjson|utf8proc)\.h", lambda p: p.startswith("data/")),
    (r"(thread|mutex|condition_variable)$", lambda p: top(p) not in ("membership", "gossip")),
    (
        r"(fstream|filesystem|unistd\.h|sys/socket\.h)$",
        lambda p: top(p) not in ("membership", "gossip", "compute"),
    ),
]

# Call pattern -> its only home, and what to call instead.
CALLS = [(re.compile(r"\.dump\("), "base/json_text.hpp", "json_text(): dump() throws at what is not UTF-8")]


def top(path):
    return path.split("/")[0]


def allowed_modules(path):
    parts = path.split("/")
    if parts[:2] == ["tests", "unit"]:
        return MODULES | {"tests"} if parts[2] == "peer" else {parts[2], "base", "tests"}
    if parts[0] in ("tests", "measure"):
        return MODULES | {"tests", "measure"}
    if parts[:2] == ["peer", "virtual"]:
        return {"peer", "membership", "gossip", "data", "base"}
    return ALLOWED[parts[0]]


# Modules and libraries.


def module_violations(tree):
    for path, text in tree.items():
        for number, bracket, header in includes.includes_of(text):
            where = f"{path}:{number}"
            if bracket == '"':
                if top(header) in includes.TOPS and top(header) not in allowed_modules(path):
                    yield f"{where}: must not include {header}"
            elif top(path) not in ("tests", "measure"):
                for pattern, at_home in HOMES:
                    if re.match(pattern, header) and not at_home(path):
                        yield f"{where}: <{header}> belongs elsewhere"


def call_violations(tree):
    for path, text in tree.items():
        for pattern, home, instead in CALLS:
            if path == home or top(path) in ("tests", "measure"):
                continue
            for number, line in enumerate(text.split("\n"), 1):
                if pattern.search(line):
                    yield f"{path}:{number}: call {instead}"


# Rooms.


def rank_table():
    """Room as a path from the root -> its place among all, from the ground up."""
    rooms = ["base", "membership", "gossip", "compute", *(f"compute/{r}" for r in COMPUTE_ROOMS)]
    rooms += ["data", *(f"peer/{room}" for room in PEER_ROOMS), "peer", "tests", "measure"]
    return {room: place for place, room in enumerate(rooms)}


def room_of(path):
    """The room of a file of peer/ or compute/; None elsewhere."""
    if top(path) not in ("peer", "compute"):
        return None
    if path == "peer/main.cpp":
        return path
    return path.rsplit("/", 1)[0]


def may_include(room, target):
    """None where it may, or what is wrong."""
    ranks = rank_table()
    if ranks[target] > ranks[room]:
        return f"runs up: {room} lies below {target}"
    if top(room) == "peer" and target.split("/", 1)[1] not in PEER_ROOMS[room[5:]].split():
        return f"{room} may not include {target}"
    return None


def room_violations(graph):
    ranks = rank_table()
    for path in graph.files:
        room = room_of(path)
        if room is not None and (room not in ranks or room in ("peer", "compute")):
            yield f"{path}: {room}/ has no place in the order of rooms (scripts/check_layers.py)"
    for path, number, target in graph.includes:
        room, target_room = room_of(path), room_of(target)
        known = room in ranks and target_room in ranks
        if not known or room == target_room or top(room) != top(target_room):
            continue
        wrong = may_include(room, target_room)
        if wrong:
            yield f"{path}:{number}: must not include {target}: {wrong}"


# The page that tells people of the rooms says what this file allows.

ARCHITECTURE = "docs/ARCHITECTURE.md"
ROW = re.compile(r"^\| `(\w+)/` \| [^|]* \| ?([^|]*)\|$", re.MULTILINE)


def page_violations(page):
    table = page.split("| room of `peer/` |", 1)[-1].split("\n\n", 1)[0]
    told = {room: set(names.replace(",", " ").split()) for room, names in ROW.findall(table)}
    for room, names in PEER_ROOMS.items():
        allowed = set(names.split())
        if room != "main.cpp" and told.get(room) != allowed:
            yield f"{ARCHITECTURE}: the row of peer/{room}/ should name: {', '.join(sorted(allowed))}"


# Circles.


def describe(members, arrows):
    way = includes.shortest_circle(members, arrows)
    lines = [arrows[arrow][0] for arrow in zip(way, way[1:])]
    shown = "; ".join(f"{path}:{number} includes {target}" for path, number, target in lines)
    more = f" ({len(members)} are tied together)" if len(members) > len(way) - 1 else ""
    return f"circle {' -> '.join(way)}{more}: {shown}"


def circle_violations(graph):
    """Circles between files of one folder or of many, then between what lies in each folder."""
    seen = set()
    views = [lambda path: graph.unit[path], *(graph.node_in(f) for f in ["", *graph.folders])]
    for node_of in views:
        view = includes.merged(node_of, PIMPL_PAIRS)
        arrows = graph.arrows(view)
        for members in includes.circles(graph.nodes(view), arrows):
            if tuple(members) not in seen:
                seen.add(tuple(members))
                yield describe(members, arrows)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--at", metavar="REV", help="check this revision instead of the work tree")
    revision = parser.parse_args().at
    tree = includes.read_tree(revision)
    graph = includes.Graph(tree)
    bad = [*module_violations(tree), *call_violations(tree)]
    bad += [*room_violations(graph), *circle_violations(graph)]
    if revision is None:
        bad += page_violations((includes.ROOT / ARCHITECTURE).read_text())
    print("\n".join(bad) if bad else f"include rules hold in {len(tree)} files")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
