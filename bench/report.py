"""Writes RESULTS.md and results.svg from the tab-separated files of a run.

Usage: report.py DIRECTORY_OF_TSV TARGET SCALE RUNS POSTGRES_VERSION
"""

import math
import os
import statistics
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

LABELS = [
    ("postgres", "Postgres"),
    ("weir-force", "pg_weir forced"),
    ("weir-auto", "pg_weir auto"),
    ("datafusion-parquet", "DataFusion Parquet"),
    ("datafusion-memory", "DataFusion memory"),
    ("duckdb-parquet", "DuckDB Parquet"),
    ("duckdb", "DuckDB native"),
]
COLORS = ["#7f7f7f", "#1f77b4", "#17becf", "#ff7f0e", "#d62728", "#bcbd22", "#2ca02c"]


def rows(directory, name):
    path = directory / name
    if not path.exists():
        return []
    return [line.split("\t") for line in path.read_text().splitlines() if line]


def geomean(values):
    values = [value for value in values if value and value > 0 and not math.isnan(value)]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def fmt(value, digits=3):
    return "—" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def ratio(a, b):
    return "—" if not a or not b or math.isnan(a) or math.isnan(b) else f"{a / b:.2f}"


def spread(values):
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def pairs(values, others, digits):
    """The median of what each pair of rounds gives, and its range."""
    ratios = [a / b for a, b in zip(values, others)]
    return f"{statistics.median(ratios):.{digits}f} ({min(ratios):.{digits}f} to {max(ratios):.{digits}f})"


def tpch(directory):
    times, answered, counts = defaultdict(dict), {}, defaultdict(dict)
    for label, query, seconds, who, count in rows(directory, "tpch.tsv"):
        times[query][label] = float(seconds)
        counts[query][label] = count
        if label.startswith("weir"):
            answered[query, label] = who
    return times, answered, counts


def tpch_section(directory, text):
    times, answered, counts = tpch(directory)
    present = [(key, name) for key, name in LABELS if any(key in row for row in times.values())]
    text.append("| query | " + " | ".join(name for _, name in present) + " | auto: answered by |")
    text.append("|---" * (len(present) + 2) + "|")
    for query in sorted(times):
        cells = [fmt(times[query].get(key)) for key, _ in present]
        text.append(f"| {query} | " + " | ".join(cells) + f" | {answered.get((query, 'weir-auto'), '—')} |")
    means = {key: geomean([row.get(key) for row in times.values()]) for key, _ in present}
    text.append("| **geomean** | " + " | ".join(f"**{fmt(means[key])}**" for key, _ in present) + " | |")
    text.append("")
    text.append(f"- Forced against Postgres: {ratio(means.get('postgres'), means.get('weir-force'))} times as fast.")
    text.append(f"- Forced against DataFusion on Parquet (reach: at most 1.1 times its time): {ratio(means.get('weir-force'), means.get('datafusion-parquet'))}.")
    text.append(f"- Forced against DataFusion in memory (reach: at most 1.1): {ratio(means.get('weir-force'), means.get('datafusion-memory'))}.")
    slower = [
        f"{query} ({row['weir-auto'] / row['postgres']:.2f})"
        for query, row in sorted(times.items())
        if row.get("weir-auto", 0) > 1.1 * row.get("postgres", math.inf)
    ]
    text.append(f"- Queries on which auto takes more than 1.1 times Postgres (reach: none): {', '.join(slower) or 'none'}.")
    fallen = [query for query in sorted(times) if answered.get((query, "weir-force"), "routed") != "routed"]
    text.append(f"- Queries that the engine did not answer when forced: {', '.join(fallen) or 'none'}.")
    odd = [query for query, row in sorted(counts.items()) if len(set(row.values())) > 1]
    text.append(f"- Queries for which the numbers of rows differ between systems: {', '.join(odd) or 'none'}.")
    return times, present


def svg(times, present, target):
    """Grouped bars on a logarithmic axis."""
    queries = sorted(times)
    bar, gap, height, left, top = 5, 8, 320, 60, 60
    group = bar * len(present) + gap
    width = left + group * len(queries) + 20
    values = [row[key] for row in times.values() for key, _ in present if row.get(key, math.nan) > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def y(value):
        return top + height * (1 - (math.log10(value) - low) / (high - low))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top + height + 50}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="18" font-size="14">TPC-H, seconds (logarithmic, lower is better)</text>',
    ]
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line x1="{left}" y1="{at:.1f}" x2="{width - 20}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for n, (_, name) in enumerate(present):
        x = left + n * 125
        parts.append(f'<rect x="{x}" y="30" width="10" height="10" fill="{COLORS[n]}"/><text x="{x + 14}" y="39">{name}</text>')
    for g, query in enumerate(queries):
        x = left + g * group + gap / 2
        for n, (key, _) in enumerate(present):
            value = times[query].get(key, math.nan)
            if value > 0:
                at = y(value)
                parts.append(f'<rect x="{x + n * bar:.1f}" y="{at:.1f}" width="{bar}" height="{top + height - at:.1f}" fill="{COLORS[n]}"/>')
        parts.append(f'<text x="{x + bar * len(present) / 2:.1f}" y="{top + height + 16}" text-anchor="middle">{query}</text>')
    parts.append("</svg>")
    target.write_text("\n".join(parts) + "\n")


def memory_section(directory, text):
    peaks = defaultdict(int)
    for row in rows(directory, "memory.tsv"):
        if len(row) == 3:
            peaks[row[0], row[1].rstrip(":")] = max(peaks[row[0], row[1].rstrip(":")], int(row[2]))
    limit = directory / "memory_limit"
    text.append(f"- Engine: peak resident {peaks['engine', 'VmHWM'] / 1024:.0f} MB (weir.memory_limit = {limit.read_text().strip() if limit.exists() else '?'}).")
    text.append(f"- Worker: peak {peaks['worker', 'Pss'] / 1024:.0f} MB (its share of shared memory included).")
    names = {"bench weir-force": "TPC-H, forced", "bench weir": "SELECT * through the engine", "bench heap": "SELECT * from the heap"}
    sizes = [f"{name} {peaks['backend', label] / 1024:.0f} MB" for label, name in names.items() if ("backend", label) in peaks]
    text.append(f"- Backends, their own memory at the most: {', '.join(sizes)}.")


def main():
    directory, target, scale, runs, version = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6]
    text = [
        "# Results",
        "",
        f"Written by `make bench` on {date.today()}: {os.cpu_count()} cores, {version}, TPC-H scale factor {scale}, medians of {runs} runs, hot.",
        "Postgres has primary keys, foreign-key indexes, 4 GB of shared buffers, 512 MB of work_mem, two parallel workers and no just-in-time compilation; pg_weir has a weir.memory_limit of 4 GB.",
        "",
        "## TPC-H (seconds)",
        "",
    ]
    times, present = tpch_section(directory, text)
    if times:
        text += ["", "![TPC-H](results.svg)"]
        svg(times, present, target / "results.svg")
    copies = defaultdict(list)
    for label, seconds, _, rate in rows(directory, "copy.tsv"):
        copies[label].append((float(rate), float(seconds)))
    text += ["", "## Initial copy of lineitem (medians of three in turn)", "", "| | seconds | rows/s |", "|---|---|---|"]
    for key, name in [("copy-to-null", "COPY lineitem TO '/dev/null' (binary)"), ("mirror-copy", "weir.mirror until weir.sync returns")]:
        if key in copies:
            rate, seconds = statistics.median_low(copies[key])
            text.append(f"| {name} | {seconds:.2f} | {rate:,.0f} |")
    if len(copies) == 2:
        text += ["", f"Ratio (reach: at least 0.70): {pairs(*([rate for rate, _ in copies[key]] for key in ('mirror-copy', 'copy-to-null')), 2)}."]
    tps = defaultdict(list)
    for label, value in rows(directory, "pgbench.tsv"):
        tps[label].append(float(value))
    text += ["", "## pgbench (8 clients, five pairs of rounds in turn)", "", "| | without a mirror | all tables mirrored | ratio of the pairs | reach |", "|---|---|---|---|---|"]
    for kind, name, reach in [("write", "TPC-B-like, tps", "0.95"), ("read", "SELECT only, tps", "0.98")]:
        without, mirrored = tps[f"{kind}-without"], tps[f"{kind}-mirrored"]
        if without and mirrored:
            text.append(f"| {name} | {spread(without)} | {spread(mirrored)} | {pairs(mirrored, without, 3)} | {reach} |")
    text += ["", "Medians, and from the least to the greatest in brackets: what equal rounds differ by is the machine's noise."]
    text += ["", "## A small query beside 1,000 transactions a second", "", "| | p50 ms | p99 ms | queries | answered by the engine |", "|---|---|---|---|---|"]
    names = {"any": "weir.freshness = any (no wait)", "latest": "weir.freshness = latest", "postgres": "Postgres"}
    slices = defaultdict(list)
    for label, *numbers in rows(directory, "fresh.tsv"):
        slices[label].append([float(n) for n in numbers])
    fresh = {label: [statistics.median(n) for n in zip(*parts)][:2] + [int(sum(n)) for n in zip(*parts)][2:] for label, parts in slices.items()}
    for label, (p50, p99, queries, routed) in fresh.items():
        text.append(f"| {names.get(label, label)} | {p50:.2f} | {p99:.2f} | {queries} | {routed} |")
    if "any" in fresh and "latest" in fresh:
        waits = [fresh["latest"][n] - fresh["any"][n] for n in (0, 1)]
        text += ["", f"The wait for fresh data, as the difference of the two (medians of three slices in turn): p50 {waits[0]:.2f} ms, p99 {waits[1]:.2f} ms (reach: 3 and 20)."]
    text += ["", "## SELECT * of lineitem", "", "| | seconds | rows/s |", "|---|---|---|"]
    for row in rows(directory, "scan.tsv"):
        text.append(f"| {row[0]} | {row[1]} | {int(float(row[3])):,} |")
    text += ["", "## Memory", ""]
    memory_section(directory, text)
    (target / "RESULTS.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
