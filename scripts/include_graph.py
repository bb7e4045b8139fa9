#!/usr/bin/env python3
"""Counts the include graph: for the whole tree and for each folder the rooms (folders, and units
that lie beside folders), the floors (nodes on the longest way down), the arrows (pairs of which one
includes the other), the arrows that run up, and the circles.

scripts/check_layers.py declares the order of rooms. An arrow runs up if it goes against that order;
where none is declared, as between the files of a folder, the best order that a search finds counts,
which has an arrow up exactly where there is a circle. A declared pair, a front door and the machine
behind it, is one node. scripts/includes.py says what a unit is.
"""

import argparse
import json
import sys

import check_layers
import includes

COLUMNS = ("rooms", "floors", "arrows", "up", "circles")


def declared(graph, node, ranks):
    """The place of a node in the declared order, or None."""
    if node in graph.folders:
        return ranks.get(node)
    return ranks.get(f"{node}.cpp")


def runs_up(graph, start, end, ranks):
    places = declared(graph, start, ranks), declared(graph, end, ranks)
    return None not in places and places[1] > places[0]


def count(graph, node_of):
    view = includes.merged(node_of, check_layers.PIMPL_PAIRS)
    nodes, arrows = graph.nodes(view), graph.arrows(view)
    ranks = check_layers.rank_table()
    up = [arrow for arrow in arrows if runs_up(graph, *arrow, ranks)]
    rest = [arrow for arrow in arrows if arrow not in up]
    return {
        "rooms": len(nodes),
        "floors": includes.floors(nodes, arrows),
        "arrows": len(arrows),
        "up": len(up) + includes.fewest_up(nodes, rest),
        "circles": len(includes.circles(nodes, arrows)),
    }


def ways_round(graph, node_of):
    """One line for each circle: a shortest way round, and the includes that make it."""
    view = includes.merged(node_of, check_layers.PIMPL_PAIRS)
    arrows = graph.arrows(view)
    for members in includes.circles(graph.nodes(view), arrows):
        yield check_layers.describe(members, arrows)


def views(graph, folder):
    if folder is not None:
        return [(folder, graph.node_in(folder))]
    named = [("whole tree", graph.room_of), ("top folders", graph.node_in(""))]
    return named + [(f, graph.node_in(f)) for f in graph.folders]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", metavar="FOLDER", help="this folder alone, such as peer")
    parser.add_argument("--at", metavar="REV", help="count a revision, which is not checked out")
    parser.add_argument("--circles", action="store_true", help="print a way round each circle")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    graph = includes.Graph(includes.read_tree(options.at))
    folder = options.folder.rstrip("/") if options.folder else None
    if folder is not None and folder not in graph.folders:
        parser.exit(2, f"include_graph: no source lies in '{folder}'\n")
    rows = {name: count(graph, node_of) for name, node_of in views(graph, folder)}
    if options.json:
        print(json.dumps(rows))
        return 0
    print_table(rows)
    if options.circles:
        for name, node_of in views(graph, folder):
            for line in ways_round(graph, node_of):
                print(f"{name}: {line}")
    return 0


def print_table(rows):
    width = max(map(len, rows))
    print(" " * width, *(f"{column:>8}" for column in COLUMNS))
    for name, row in rows.items():
        print(f"{name:{width}}", *(f"{row[column]:>8}" for column in COLUMNS))


if __name__ == "__main__":
    sys.exit(main())
