"""The figures: kept by row, and written as a table, as JSON and into the README."""

import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

from .programs import ROOT, WORK, alertmanager_path

# Row: what it is, and for each figure what it must be and what it should be. `more` says that more is better.
ROWS = {
    1: ("durable 202/s ÷ bare handler", True, {"16": (0.10, 0.20), "64": (0.20, 0.35), "256": (0.30, 0.50)}),
    2: ("durable 202/s ÷ Alertmanager's", True, {"16": (1, 1.5), "64": (1.5, 2.5)}),
    3: ("p99 ÷ Alertmanager's", False, {"": (0.4, 0.2)}),
    4: ("acknowledged but missing", False, {"": (0, 0)}),
    5: ("ready after the start", False, {"kill": (2, 0.5), "first": (0.5, 0.2)}),
    6: ("resident memory ÷ Alertmanager's", False, {"idle": (2, 1), "100,000 open": (0.2, 0.12), "million": (0.3, 0.2)}),
    7: ("CPU per alert, a million stored ÷ empty", False, {"": (1.5, 1.2)}),
    8: ("bytes written ÷ bytes of bodies", False, {"empty": (4, 2.5), "million": (6, 3)}),
    9: ("list page of 50", False, {"load": (10, 4), "thousand": (2, 1.2)}),
    10: ("writer's CPU per alert with many open incidents", False, {"": (4, 2.5)}),
    11: ("post → event at the last of 1,000 readers, at 1,000 alerts/s", False, {"": (1, 0.4)}),
    12: ("intake beside others", True, {"readers": (0.8, 0.9), "index": (0.75, 0.85)}),
    13: ("at twice the peak", None, {"goodput": (0.8, 0.95), "refusals": (0, 0)}),
    14: ("while the retention removes what is too much", False, {"": (2, 1.2)}),
    # Limits only: those of the design.
    15: ("pages in Chromium", False, {}),
    16: ("commit to first byte of notifications", False, {}),
    17: ("a storm to one chat", False, {}),
    18: ("intake with 20 rules ÷ without", None, {"goodput": (0.8, 0.9), "p99": (1.5, 1.2)}),
}


class Book:
    """All figures of a run, each with its value of every round."""

    def __init__(self):
        self.rows, self.limits, self.figures, self.skipped = {}, {}, {}, {}

    def add(self, row, name, value):
        self.rows.setdefault(row, {}).setdefault(name, []).append(value)

    def limit(self, name, value, at_most):
        self.limits.setdefault(name, (at_most, []))[1].append(value)

    def figure(self, name, value):
        self.figures.setdefault(name, []).append(value)

    def skip(self, row, why):
        self.skipped[row] = why


def targets(row, name):
    for word, limits in ROWS[row][2].items():
        if word in name.replace(" connections", "") or not word:
            return limits
    return (None, None)


def verdict(row, name, value):
    must, aim = targets(row, name)
    more = ROWS[row][1] if ROWS[row][1] is not None else "goodput" in name
    fits = (lambda limit: value >= limit) if more else (lambda limit: value <= limit)
    if must is None:
        return ""
    return "aim" if fits(aim) else "must" if fits(must) else "**missed**"


def number(value):
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{3 if abs(value) < 10 else 1}f}".rstrip("0").rstrip(".")


def spread(values):
    return f"{number(statistics.median(values))} | {number(min(values))} to {number(max(values))}"


def command_output(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def sync_ms():
    """Median time of writing 4 KB and having it on the disk."""
    path, taken = WORK / "sync", []
    with open(path, "wb", buffering=0) as f:
        for _ in range(200):
            f.write(os.urandom(4096))
            began = time.perf_counter()
            os.fdatasync(f.fileno())
            taken.append((time.perf_counter() - began) * 1e3)
    path.unlink()
    return statistics.median(taken)


def processors():
    """How many there are, and of how many when not all may be used."""
    used, there = len(os.sched_getaffinity(0)), os.cpu_count()
    return f"{used}" if used == there else f"{used} of {there}"


def machine():
    cpu = next((l.split(":", 1)[1].strip() for l in Path("/proc/cpuinfo").read_text().splitlines() if l.startswith("model name")), "?")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024 // 1024
    disk = command_output("findmnt", "-n", "-o", "FSTYPE", "--target", str(WORK))
    version = command_output("prometheus-alertmanager", "--version") or command_output("alertmanager", "--version")
    return {
        "commit": command_output("git", "rev-parse", "--short", "HEAD")
        + (" with changes" if command_output("git", "status", "--porcelain", "--untracked-files=no") else ""),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": f"{processors()} × {cpu}",
        "memory": f"{memory} GB",
        "system": f"Linux {platform.release().split('-')[0]}, {disk}, {sync_ms():.2f} ms to sync 4 KB",
        "alertmanager": version.splitlines()[0] if version else "none",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def markdown(book, about, rounds, seconds):
    lines = [
        f"Measured on {about['date']} at commit {about['commit']}: {about['cpu']}, {about['memory']}, {about['system']}; "
        f"{about['alertmanager']}. {rounds} rounds of {seconds:g} s; median, then the least and the most of the rounds. "
        f"The machine's load before was {about['load before']}.",
        "",
        "| # | | Median | Rounds | Must | Aim | Reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, (title, _, _) in ROWS.items():
        for name, values in book.rows.get(row, {}).items():
            must, aim = targets(row, name)
            reached = verdict(row, name, statistics.median(values))
            lines.append(f"| {row} | {title}: {name} | {spread(values)} | {number(must)} | {number(aim)} | {reached} |")
        if row in book.skipped:
            lines.append(f"| {row} | {title} | skipped: {book.skipped[row]} | | | | |")
    if book.limits:
        lines += ["", "| | Median | Rounds | At most | |", "|---|---|---|---|---|"]
        for name, (at_most, values) in book.limits.items():
            fits = "yes" if statistics.median(values) <= at_most else "**no**"
            lines.append(f"| {name} | {spread(values)} | {number(at_most)} | {fits} |")
    if book.figures:
        lines += ["", "| Figures behind them | Median | Rounds |", "|---|---|---|"]
        lines += [f"| {name} | {spread(values)} |" for name, values in book.figures.items()]
    return "\n".join(lines) + "\n"


def write(book, about, rounds, seconds):
    """Leaves `result.json` and `result.md` under target/bench; the text."""
    text = markdown(book, about, rounds, seconds)
    everything = {
        "machine": about, "rounds": rounds, "seconds": seconds, "rows": book.rows, "figures": book.figures,
        "limits": {name: {"at_most": limit, "values": values} for name, (limit, values) in book.limits.items()},
        "skipped": book.skipped,
    }
    (WORK / "result.json").write_text(json.dumps(everything, indent=1))
    (WORK / "result.md").write_text(text)
    return text


BEGIN, END = "<!-- figures: written by tests/bench/run --readme -->", "<!-- end of figures -->"


def into_readme(text):
    readme = ROOT / "tests" / "bench" / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
