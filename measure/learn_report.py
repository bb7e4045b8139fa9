"""From the lines of finished runs to a table, and to its page in docs/results."""

import json
import math
import pathlib

from learn_runs import mean
from learn_tables import TABLES

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "docs" / "results"


def read_results(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def of_cell(results, table, cell, scale):
    return [r for r in results if (r["table"], r["cell"], r["scale"]) == (table, cell, scale)]


def render(table, results, scale):
    columns = TABLES[table]["columns"]
    lines = [f"| {table} | runs | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for cell in TABLES[table]["cells"]():
        runs = of_cell(results, table, cell, scale)
        if not runs:
            lines.append(f"| {cell} | 0 |" + " |" * len(columns))
            continue
        lines.append(f"| {cell} | {len(runs)} | " + " | ".join(figure(runs, column) for column in columns) + " |")
    return "\n".join(lines)


def figure(runs, column):
    # A row of an earlier release may lack what later ones measure.
    values = [run["result"][column] for run in runs if column in run["result"]]
    if not values:
        return ""
    middle = mean(values)
    counted = column in ("steps", "samples", "exchanges", "bytes", "kills", "peers_at_the_end")
    digits = 0 if counted else 1 if column in ("seconds", "verified_s") else 4
    text = f"{middle:,.{digits}f}"
    if column == "spread":
        text = f"{middle:.1e}"
    if len(values) > 1 and column in ("loss", "accuracy", "seconds", "verified_s"):
        variance = sum((value - middle) ** 2 for value in values) / (len(values) - 1)
        text += f" ± {math.sqrt(variance / len(values)):.{digits}f}"
    return text


def introduction(path, table):
    """What a person has written above the table, question and answer. It is kept: no run can know it."""
    if not path.exists():
        return f"# {TABLES[table]['title']}\n\n"
    above = path.read_text().split(f"| {table} | runs |")[0]
    return above.split("**Shortened**")[0]


def write(table, results, scale):
    runs = [r for r in results if r["table"] == table and r["scale"] == scale]
    commits = sorted({run["commit"] for run in runs})
    machines = sorted({run["machine"] for run in runs})
    path = RESULTS / f"{table}.md"
    text = introduction(path, table)
    if scale != 1:
        text += f"**Shortened**: {scale} of the steps.\n\n"
    text += render(table, results, scale)
    text += "\n\nMeans over runs with different seeds, ± standard error where there are several; an empty row has not been "
    text += "run. Exchanges, bytes and samples are those of all peers together.\n\n"
    scale_flag = f" --scale {scale}" if scale != 1 else ""
    command = TABLES[table].get("command", f"scripts/dev learn {table}")
    text += f"Command: `{command}{scale_flag}`. Commits: {', '.join(commits) or 'none'}. "
    text += f"Machine: {'; '.join(machines) or 'none'}; times are of a machine that also did other work.\n"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    print(f"wrote {path}")
