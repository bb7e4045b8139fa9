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

    def unlike_hospitals(self):
        """Writes a table for each peer, two of which have seen one class hardly ever, and the third the other one."""
        rows = [row + ["test" if i % 5 == 0 else "train"] for i, row in enumerate(table())]
        kinds = [[row for row in rows if row[-2] == kind] for kind in ("0", "1")]
        files = []
        for number, (zeros, ones) in enumerate((((0, 10), (0, 160)), ((10, 20), (160, 320)), ((20, 200), (320, 335)))):
            mine = kinds[0][slice(*zeros)] + kinds[1][slice(*ones)]
            path = self.directory / f"unlike-{number}.csv"
            files.append(write_rows(path, mine, [*NAMES, "kind", "part"]))
        return files

    @staticmethod
    def spec(path):
        return f"csv:{path}?label=kind&split=part=test"
