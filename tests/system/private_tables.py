"""Tables for the tests of private swarms: the rows of a shipped table, dealt to three peers."""

import csv

from swarm_fixture import ROOT, SwarmTestCase

ROWS = ROOT / "data/samples/breast_cancer.csv"
NAMES = [f"m{i + 1}" for i in range(30)]
PEERS = 3


def table():
    with open(ROWS, newline="") as file:
        return list(csv.reader(file))[1:]


def write_rows(path, rows, header):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


class PrivateTestCase(SwarmTestCase):
    def hospitals(self):
        """Writes a table for each peer, with a column that says which rows it judges itself by."""
        files = []
        for number in range(PEERS):
            rows = [row + ["test" if i % 5 == 0 else "train"] for i, row in enumerate(table())]
            mine = rows[number::PEERS]
            files.append(
                write_rows(self.directory / f"hospital-{number}.csv", mine, [*NAMES, "kind", "part"])
            )
        return files

    @staticmethod
    def spec(path):
        return f"csv:{path}?label=kind&split=part=test"
