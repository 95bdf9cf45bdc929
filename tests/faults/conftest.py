"""One laboratory for the whole module: what a test kills is started again for the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.lab import Lab, Verdict

ALL_WELL = Verdict(lost=0, doubled=0, stuck=0)


@pytest.fixture(scope="package")
def laboratory() -> Iterator[Lab]:
    with Lab() as lab:
        lab.start_worker("w1")
        lab.start_planner()
        yield lab


@pytest.fixture
def lab(laboratory: Lab) -> Iterator[Lab]:
    """Give the laboratory with all workers up; afterwards nothing is lost, doubled or stuck."""
    laboratory.wait_ready("w1", "planner")
    yield laboratory
    assert laboratory.verdict() == ALL_WELL
