"""One cluster for the whole folder: what a test breaks is whole again for the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.cluster import Cluster
from benchmarks.servers import NoServer
from benchmarks.verdict import Verdict
from tests.conftest import missing


@pytest.fixture(scope="package")
def servers() -> Iterator[Cluster]:
    """Give PostgreSQL, RabbitMQ, S3 and Chroma, an API, and two working hosts, one with a clock two minutes ahead."""
    made = Cluster(west_ahead_s=120)
    try:
        made.__enter__()
    except NoServer as error:
        missing(str(error))
    yield made
    made.__exit__()


@pytest.fixture
def cluster(servers: Cluster) -> Iterator[Cluster]:
    """Give the cluster with everything up; afterwards each accepted request is done, and done once."""
    servers.wait_all_ready()
    servers.client.answers.clear()
    servers.client.slowest_s = 0
    yield servers
    assert servers.failures() == set()
    assert servers.judge_accepted() == Verdict(lost=0, doubled=0, stuck=0)
