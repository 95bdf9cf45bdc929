"""Servers crash, hang, and are cut off while requests come in; each accepted request ends, and ends once."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sqlalchemy import func, select

from benchmarks import network
from benchmarks.cluster import EAST, WEST, Cluster
from benchmarks.cluster_faults import FAULTS, Fault, recovery, struck
from benchmarks.processes import wait_for
from benchmarks.servers import Chroma
from models.embedding import HashEncoder
from store import search
from store.index import ChromaIndex
from store.tables import steps, vectors
from tests.conftest import missing

pytestmark = pytest.mark.faults
FAULT = {fault.name: fault for fault in FAULTS}
SHORT = ("host lost", "API killed", "database crashed", "S3 answers 500", "S3 hangs")
RECOVERY_S = 30.0  # on a busy machine; 1 to 8 s on a quiet one
SILENCE_S = 9.5  # the longest that the API may think


@pytest.fixture
def cables() -> None:
    reason = network.reason_why_not()
    if reason is not None:
        missing(reason)


def strike(cluster: Cluster, fault: Fault) -> float:
    """Let a fault come and go under load, and give the seconds of the recovery."""
    with cluster.asked(every_s=0.3):
        time.sleep(0.7)
        with struck(cluster, fault) as been:
            time.sleep(fault.short_s)
        time.sleep(0.7)
    wait_for(lambda: not cluster.open_runs(), "the last runs", 60)
    return recovery(cluster, been[0])


@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost_when(cluster: Cluster, name: str) -> None:
    assert strike(cluster, FAULT[name]) < RECOVERY_S


def test_the_database_is_gone_and_clients_are_told_so_at_once(cluster: Cluster) -> None:
    assert strike(cluster, FAULT["database gone"]) < RECOVERY_S
    assert set(cluster.client.answers) == {202, 503}
    assert cluster.client.slowest_s < SILENCE_S


@pytest.mark.usefixtures("cables")
def test_the_api_is_cut_from_the_database_and_does_not_hang(cluster: Cluster) -> None:
    assert strike(cluster, FAULT["API cut from database"]) < RECOVERY_S
    assert set(cluster.client.answers) <= {202, 503}
    assert cluster.client.slowest_s < SILENCE_S


@pytest.mark.usefixtures("cables")
def test_the_api_is_cut_from_the_broker_and_still_accepts(cluster: Cluster) -> None:
    assert strike(cluster, FAULT["API cut from broker"]) < RECOVERY_S
    assert set(cluster.client.answers) == {202}


def test_the_broker_is_gone_and_work_goes_on_without_it(cluster: Cluster) -> None:
    broker = cluster.servers["broker"]
    with cluster.asked(every_s=0.3):
        broker.kill()
        try:
            run_id = cluster.client.ask(steps=2)
            assert cluster.wait(run_id) == ["completed"]
        finally:
            broker.start()
    assert set(cluster.client.answers) == {202}
    assert cluster.wait(cluster.client.ask()) == ["completed"]


@pytest.mark.usefixtures("cables")
def test_a_host_that_was_cut_off_comes_back_after_its_steps_were_done_by_others(cluster: Cluster) -> None:
    """It knows nothing of it and works on: what it brings is not taken."""
    net = cluster.network
    assert net is not None
    run_id = cluster.client.ask(seconds=3)
    wait_for(lambda: worker_of(cluster, run_id) is not None, "a worker", 10)
    first = worker_of(cluster, run_id)
    host = EAST if str(first).startswith("east") else WEST
    net.unplug(host)
    try:
        assert cluster.wait(run_id) == ["completed"]
        assert worker_of(cluster, run_id) != first
    finally:
        net.plug(host)
    made = cluster.run(run_id)["assets"]
    words = ("dropped", "no longer held")
    zombies = [name for name, process in cluster.processes.items() if process.host == host]
    wait_for(lambda: any(word in cluster.log(name) for name in zombies for word in words), "the late result", 40)
    assert cluster.run(run_id)["assets"] == made
    assert len(made) == 1


def worker_of(cluster: Cluster, run_id: str) -> str | None:
    query = select(steps.c.worker).where(steps.c.run_id == run_id, steps.c.tool == "write")
    with cluster.database.read() as connection:
        found: str | None = connection.execute(query).scalar()
    return found


@pytest.mark.usefixtures("cables")
def test_a_host_that_vanishes_in_mid_transaction_keeps_no_locks(cluster: Cluster) -> None:
    """Its connection stays open on the server, which would keep a row locked for hours."""
    net = cluster.network
    assert net is not None
    run_id = cluster.client.ask(seconds=0.5)
    assert cluster.wait(run_id) == ["completed"]
    cluster.start_locker(run_id, host=EAST)
    net.unplug(EAST)
    try:
        began = time.monotonic()
        cluster.database.transact(lambda connection: connection.execute(steps_of(run_id).with_for_update()))
        assert 1 < time.monotonic() - began < 40
    finally:
        cluster.stop("locker")
        net.plug(EAST)


def steps_of(run_id: str):  # type: ignore[no-untyped-def]
    return select(steps.c.id).where(steps.c.run_id == run_id)


def test_the_index_is_gone_and_search_is_still_right(cluster: Cluster) -> None:
    cluster.wait(*(cluster.client.ask() for _ in range(3)))
    server = cluster.servers["index"]
    assert isinstance(server, Chroma)
    index = ChromaIndex(server.host, server.port)
    wait_for(lambda: waiting_vectors(cluster) == 0, "the index", 20)
    found = nearest(cluster, index)
    server.kill()
    try:
        assert nearest(cluster, index) == nearest(cluster, None) == found
        run_id = cluster.client.ask()
        assert cluster.wait(run_id) == ["completed"]
    finally:
        server.start()
    wait_for(lambda: waiting_vectors(cluster) == 0, "the index to have all again", 30)
    assert nearest(cluster, index) == nearest(cluster, None)
    index.close()


def nearest(cluster: Cluster, index: ChromaIndex | None) -> list[float]:
    """Give the cosines of what is found: several lines are equally near."""
    encoder = HashEncoder()
    vector = np.asarray(encoder.encode(["line"])[0])
    hits = search.search(cluster.database, index, owner="local", space=encoder.space, vector=vector, limit=5)
    return [round(hit.score, 4) for hit in hits]


def waiting_vectors(cluster: Cluster) -> int:
    with cluster.database.read() as connection:
        query = select(func.count()).select_from(vectors).where(vectors.c.indexed_at.is_(None))
        return int(connection.execute(query).scalar_one())
