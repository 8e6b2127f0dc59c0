"""The tables of a run, from its record; the same text is printed and kept as docs/results/bench.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.bars import BARS

if TYPE_CHECKING:
    from pathlib import Path

Record = Mapping[str, Any]
RIGHT, LEFT = "---:", "---"


def render(record: Record) -> str:
    """All that was measured, as Markdown."""
    parts = [_head(record)]
    parts += [write(record[name]) for name, write in SECTIONS.items() if name in record]
    return "\n\n".join([*parts, _bars(record)]) + "\n"


def save(record: Record, folder: Path) -> None:
    """bench.json and bench.md."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=2, ensure_ascii=False)
    (folder / "bench.json").write_text(text + "\n")
    (folder / "bench.md").write_text(
        "# Results of the benchmark\n\nWritten by `make bench ARGS=--save`; bench/README.md says how it was measured.\n\n"
        + render(record)
    )


def table(columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> str:
    lines = [list(columns), list(columns.values()), *([_cell(v) for v in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _head(record: Record) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    size = "quick: small and coarse, for development" if record["quick"] else "full"
    return (
        f"{record['date']}, {record['machine']}, load before {record['load_before']}, "
        f"fsync p50 {record['fsync_p50_ms']} ms, seed {record['seed']}, size {size}, "
        f"{record['seconds']} s; {versions}"
    )


def _throughput(rows: Sequence[Record]) -> str:
    columns = {"row": LEFT, "jobs": RIGHT, "rounds": RIGHT}
    columns |= dict.fromkeys(("jobs/s median", "best", "ceiling median", "ceiling best"), RIGHT)
    columns |= {"ratio, median of rounds": RIGHT, "low – high": RIGHT}
    columns |= dict.fromkeys(("CPU µs/job: server", "ceiling", "client"), RIGHT)
    return "## Throughput\n\n" + table(columns, (_throughput_row(row) for row in rows))


def _throughput_row(row: Record) -> tuple[object, ...]:
    name = row["row"] if row["against"] == "ceiling" else f"{row['row']} (against {row['against']})"
    counts = (row["jobs"], row["rounds"], row["jobs_s_median"], row["jobs_s_best"])
    cpu = (row[f"{name}_cpu_us_per_job"] for name in ("server", "ceiling", "client"))
    against = (row["against_jobs_s_median"], row["against_jobs_s_best"])
    ratios = (row["ratio_median"], f"{row['ratio_low']:.3g} – {row['ratio_high']:.3g}")
    return (name, *counts, *against, *ratios, *cpu)  # fmt: skip


def _latency(rows: Sequence[Record]) -> str:
    names = list(rows[0]["ms"])
    columns = {"open loop": LEFT, "arrivals/s": RIGHT, "arrivals": RIGHT}
    columns |= dict.fromkeys([*(f"{name} ms" for name in names), "client late p99 ms"], RIGHT)
    body = (
        (row["what"], row["rate"], row["calls"], *row["ms"].values(), row["late_ms"])
        for row in rows
    )
    return "## Latency at half of capacity, from the intended time\n\n" + table(columns, body)


def _depth(depth: Record) -> str:
    columns = {"p50 of": LEFT, "calls": RIGHT, "at 1,000 waiting, ms": RIGHT}
    columns |= {f"at {depth['jobs']:,} waiting, ms": RIGHT, "ratio": RIGHT}
    body = (
        (cost["what"], cost["calls"], cost["shallow_ms"], cost["deep_ms"], cost["deep_ms"] / cost["shallow_ms"])
        for cost in depth["costs"]
    )  # fmt: skip
    starts = ", ".join(f"{seconds:.2f}" for seconds in depth["starts_s"])
    return (
        f"## Depth\n\n{table(columns, body)}\n\n"
        f"Start to first answer on {depth['jobs']:,} jobs ({depth['file_mib']:,} MiB): {starts} s."
    )


def _idle(idle: Record) -> str:
    return (
        f"## At rest\n\nA fresh server takes {idle['fresh_mib']} MiB. {idle['connections']:,} connections with a waiting pull each "
        f"add {idle['added_mib']} MiB and {idle['cpu_ms_a_second']} ms of CPU a second."
    )


def _peers(rows: Sequence[Record]) -> str:
    columns = {"peer": LEFT, "an answer means": LEFT, "batch": RIGHT}
    columns |= dict.fromkeys(("produce jobs/s", "consume jobs/s", "end to end jobs/s"), RIGHT)
    text = table(columns, (_peer_row(row) for row in rows))
    return f"## Peers\n\nOne connection, the same payload and batches.\n\n{text}"


def _peer_row(row: Record) -> tuple[object, ...]:
    if row["missing"]:
        why = f"**NOT MEASURED**: {row['missing']}"
        return row["name"], why, row["batch"], "missing", "missing", "missing"
    return row["name"], row["durability"], row["batch"], row["produce"], row["consume"], row["e2e"]


def _sdks(rows: Sequence[Record]) -> str:
    columns = {"load": LEFT, "client": LEFT, "jobs": RIGHT, "rounds": RIGHT}
    columns |= dict.fromkeys(("jobs/s median", "best", "÷ bare socket, median of rounds"), RIGHT)
    columns |= dict.fromkeys(("low – high", "CPU µs/job: client", "server"), RIGHT)
    text = table(columns, (_sdk_row(row) for row in rows))
    about = (
        "Over TCP, one client each: single pushes one after another, batches of 50, 1,000 single pushes at once, and a worker with 16 slots "
        "whose handler does nothing. The bare socket pushes on one connection, pipelined where 1,000 are at once, and pulls and acks 16 jobs at a time."
    )
    return f"## SDKs\n\n{about}\n\n{text}"


def _sdk_row(row: Record) -> tuple[object, ...]:
    if "missing" in row:
        return (f"**NOT MEASURED**: {row['missing']}", row["client"], *["–"] * 8)
    names = ("load", "client", "jobs", "rounds", "jobs_s_median", "jobs_s_best", "ratio_median")
    spread = f"{row['ratio_low']:.3g} – {row['ratio_high']:.3g}"
    cpu = (row["client_cpu_us_per_job"], row["server_cpu_us_per_job"])
    return (*(row[name] for name in names), spread, *cpu)


def _bars(record: Record) -> str:
    figures = record["figures"]
    body = (
        (bar.key, bar.meaning, f"{figures[bar.key]:.{bar.digits}f}", bar.text, "yes" if bar.is_met(figures[bar.key]) else "**no**")
        if bar.key in figures
        else (bar.key, bar.meaning, "not measured", bar.text, "–")
        for bar in BARS
    )  # fmt: skip
    columns = {"figure": LEFT, "what": LEFT, "measured": RIGHT, "bar": RIGHT, "met": LEFT}
    return "## Against the bars\n\n" + table(columns, body)


SECTIONS: dict[str, Callable[[Any], str]] = {
    "throughput": _throughput,
    "latency": _latency,
    "depth": _depth,
    "idle": _idle,
    "peers": _peers,
    "sdks": _sdks,
}
