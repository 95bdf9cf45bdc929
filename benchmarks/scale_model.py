"""A model of many workers on one database: `python -m benchmarks.scale_model [--costs FILE] [--plot FILE]`.

A step asks in turns for the processor of its worker and for that of the database, waits for the disk, and runs its
tool. The costs are those that `benchmarks.scale` measured with one worker; what the model says of two and four workers
on the same machine stands beside what was measured there, and only then does it say what a cluster would do.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROUNDS = 12  # statements of a step, about
STEPS = 4_000
SEED = 8
WORKERS = (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)
TOOLS_S = (0.0, 1.0, 10.0)
SQL_CORES = 8


@dataclass(frozen=True)
class Costs:
    """What one step costs, in seconds.

    Attributes:
        worker_s: processor time in the worker.
        sql_s: processor time in the database.
        broker_s: processor time in the broker.
        wait_s: without any processor: disk, network, turns of schedulers.
    """

    worker_s: float
    sql_s: float
    broker_s: float
    wait_s: float


@dataclass(frozen=True)
class Machine:
    """Where it runs: all on the same cores, or the workers on machines of their own.

    Attributes:
        speed: the share of these cores that nobody else uses.
    """

    cores: int
    shared: bool
    speed: float = 1.0


def simulate(costs: Costs, machine: Machine, workers: int, tool_s: float = 0.0) -> tuple[float, float]:
    """Let workers carry out steps that never run out.

    Returns:
        Steps a second, and the share of the time in which the cores that are fought for were busy.
    """
    draw = np.random.default_rng(SEED)
    cores = [0.0] * machine.cores  # when each is free
    done_at: list[float] = []
    busy_s = 0.0
    wanted = max(STEPS, 4 * workers)
    turns = [(float(at), number, 0) for number, at in enumerate(draw.random(workers) * max(tool_s, 0.01))]
    heapq.heapify(turns)
    while len(done_at) < wanted:
        now, number, step = heapq.heappop(turns)
        if step == ROUNDS:
            done_at.append(now)
            heapq.heappush(turns, (now + tool_s, number, 0))
            continue
        own_s, theirs_s, wait_s = _round(costs, draw)
        asks_s = (own_s + theirs_s if machine.shared else theirs_s) / machine.speed
        free_at = heapq.heappop(cores)
        begins = max(now + (0.0 if machine.shared else own_s), free_at)
        heapq.heappush(cores, begins + asks_s)
        busy_s += asks_s
        heapq.heappush(turns, (begins + asks_s + wait_s, number, step + 1))
    half = len(done_at) // 2
    rate = (len(done_at) - half) / max(done_at[-1] - done_at[half - 1], 1e-9)
    return rate, min(1.0, busy_s / (machine.cores * done_at[-1]))


def _round(costs: Costs, draw: np.random.Generator) -> tuple[float, float, float]:
    own_s, theirs_s = draw.gamma(2.0, (costs.worker_s / ROUNDS / 2, (costs.sql_s + costs.broker_s) / ROUNDS / 2))
    return float(own_s), float(theirs_s), costs.wait_s / ROUNDS


def main() -> int:
    """Print the tables, and draw the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_model", description=__doc__)
    parser.add_argument("--costs", type=Path, required=True, help="what `benchmarks.scale --costs` wrote")
    parser.add_argument("--plot", type=Path, help="a PNG file to draw")
    given = parser.parse_args()
    measured = json.loads(given.costs.read_text())
    costs = Costs(**measured["costs"])
    free = {int(workers): cores for workers, cores in measured["cores"].items()}
    points = {int(workers): rate for workers, rate in measured["rates"].items()}
    sys.stdout.write(f"a step: {', '.join(f'{name} {1000 * value:.1f} ms' for name, value in vars(costs).items())}\n")
    for workers, rate in points.items():
        said, _ = simulate(_at(costs, _left(free[1]).speed), _left(free[workers]), workers)
        shown = f"measured {rate:.0f}, model {said:.0f} a second ({said / rate - 1:+.0%})"
        sys.stdout.write(f"{workers} workers on {free[workers]:.1f} cores: {shown}\n")
    cluster = Machine(SQL_CORES, shared=False)
    curves = {tool_s: [simulate(costs, cluster, workers, tool_s) for workers in WORKERS] for tool_s in TOOLS_S}
    sys.stdout.write(f"a cluster whose database and broker have {SQL_CORES} such cores, by the seconds of a tool:\n")
    for tool_s, curve in curves.items():
        shown = ", ".join(f"{n}: {rate:.0f} ({busy:.0%})" for n, (rate, busy) in zip(WORKERS, curve, strict=True))
        sys.stdout.write(f"  {tool_s:.0f} s  {shown}\n")
    if given.plot:
        plot({tool_s: [rate for rate, _ in curve] for tool_s, curve in curves.items()}, points, given.plot)
    return 0


def _left(cores: float) -> Machine:
    """Give the machine that others have left: whole cores, each a little slower."""
    return Machine(ceil(cores), shared=True, speed=cores / ceil(cores))


def _at(costs: Costs, speed: float) -> Costs:
    """Give the costs where one worker waited for others at that speed: less of its waiting is the disk's."""
    processor_s = costs.worker_s + costs.sql_s + costs.broker_s
    return replace(costs, wait_s=max(0.0, costs.wait_s - processor_s * (1 / speed - 1)))


# The picture

SIZE, EDGE = (900, 560), 70
COLOURS = ("#b3372f", "#2f6db3", "#2f8f4e")
TOP_RATE = 10_000.0
LABEL = 6  # at this point of a curve stands what it is


def plot(curves: dict[float, list[float]], points: dict[int, float], path: Path) -> None:
    """Draw steps a second over workers, both on logarithmic axes; measured points are squares."""
    image = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(image)
    for power in range(4):
        x, y = _place(10**power, 10 ** (power + 1))
        pen.line([(x, EDGE / 2), (x, SIZE[1] - EDGE)], fill="#dddddd")
        pen.line([(EDGE, y), (SIZE[0] - EDGE, y)], fill="#dddddd")
        pen.text((x - 8, SIZE[1] - EDGE + 6), f"{10**power:,}", fill="black")
        pen.text((12, y - 6), f"{10 ** (power + 1):,}", fill="black")
    pen.text((SIZE[0] / 2 - 30, SIZE[1] - 30), "workers", fill="black")
    pen.text((12, 8), "steps a second", fill="black")
    for colour, (tool_s, rates) in zip(COLOURS, curves.items(), strict=True):
        pen.line([_place(n, rate) for n, rate in zip(WORKERS, rates, strict=True)], fill=colour, width=3)
        x, y = _place(WORKERS[LABEL], rates[LABEL])
        pen.text((x + 8, y + 8), f"tool of {tool_s:.0f} s (model)", fill=colour)
    _squares(pen, points)
    image.save(path)


def _squares(pen: ImageDraw.ImageDraw, points: dict[int, float]) -> None:
    for workers, rate in points.items():
        x, y = _place(workers, rate)
        pen.rectangle([x - 5, y - 5, x + 5, y + 5], outline="black", width=2)
    x, y = _place(*list(points.items())[-1])
    pen.text((x + 12, y - 6), "measured, all on 2 shared cores", fill="black")


def _place(workers: float, rate: float) -> tuple[float, float]:
    across = np.log10(max(workers, 1)) / np.log10(WORKERS[-1])
    up = np.log10(max(rate, 1)) / np.log10(TOP_RATE)
    return EDGE + across * (SIZE[0] - 2 * EDGE), SIZE[1] - EDGE - up * (SIZE[1] - 1.5 * EDGE)


def costs_of(cpu_s: Sequence[float], rate: float) -> Costs:
    """Give the costs of a step from processor seconds (worker, database, broker) and the rate of one worker."""
    worker_s, sql_s, broker_s = (float(each) for each in cpu_s)
    return Costs(worker_s, sql_s, broker_s, max(0.0, 1 / rate - worker_s - sql_s - broker_s))


if __name__ == "__main__":
    sys.exit(main())
