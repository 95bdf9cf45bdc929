"""What the benchmark of scale measures with: claims do not slow down, growth is seen, the model knows its limits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks import memory, waiting
from benchmarks.lab import postgresql
from benchmarks.scale_model import Costs, Machine, simulate
from store.database import Database
from store.schema import migrate
from tests.conftest import POSTGRESQL

FEW, MANY = 100, 10_000
COSTS = Costs(worker_s=0.004, sql_s=0.002, broker_s=0.001, wait_s=0.003)


@pytest.fixture(params=["sqlite", "postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Database]]:
    """Give two databases."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("few", "many")]
        else:
            request.getfixturevalue("postgresql_url")  # skips where there is no server
            urls = [stack.enter_context(postgresql(POSTGRESQL)) for _ in range(2)]
        databases = [Database(url) for url in urls]
        for database in databases:
            stack.callback(database.close)
            migrate(database)
        yield databases


@pytest.mark.parametrize("case", [waiting.CASES[1], waiting.CASES[3], waiting.CASES[4]], ids=lambda case: case.name)
def test_a_claim_among_many_is_not_slower(pair: list[Database], case: waiting.Case) -> None:
    for database, number in zip(pair, (FEW, MANY), strict=True):
        database.transact(lambda connection, n=number: waiting.fill(connection, case, 0, n))  # type: ignore[misc]
    few_s, many_s = np.median(waiting.measure(pair, case, 30), axis=1)
    assert many_s < 4 * few_s  # a statement that looks at all of them needs 10 to 20 times as long


def test_growth_of_memory_is_seen_and_noise_is_not() -> None:
    noise = np.random.default_rng(0).normal(0, 1e5, 400)
    assert memory.grown("api", 1000, 1e8 + noise).ok is True
    assert memory.grown("api", 1000, np.linspace(1e8, 1.2e8, 400) + noise).ok is False
    warm = np.concatenate([np.linspace(5e7, 1e8, 100), np.full(300, 1e8)])
    assert memory.grown("api", 1000, warm).ok is True


def test_the_model_agrees_with_what_can_be_said_without_it() -> None:
    alone, _ = simulate(COSTS, Machine(2, shared=True), 1)
    assert alone == pytest.approx(100, rel=0.05)
    crowded, busy = simulate(COSTS, Machine(2, shared=True), 64)
    assert crowded == pytest.approx(2 / 0.007, rel=0.05)
    assert busy > 0.95
    far, _ = simulate(COSTS, Machine(4, shared=False), 500, tool_s=10)
    assert far == pytest.approx(50, rel=0.1)
