"""What /readyz says of one machine, and what of an API among many."""

from __future__ import annotations

import dataclasses
import socket
import time

import httpx
import pytest
from sqlalchemy import text

from orchestrator.api import readiness
from orchestrator.api.context import Context
from workers.messages import Messenger


def test_an_api_without_workers_and_broker_still_accepts(api: httpx.Client) -> None:
    """A worker that was scaled to zero takes no API out of the load balancer."""
    assert api.get("/readyz").status_code == 503
    answer = api.get("/readyz", params={"of": "api"})
    assert answer.status_code == 200
    assert set(answer.json()["parts"]) == {"database", "broker"}
    assert "waits in the database" in answer.json()["parts"]["broker"]["detail"]


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_broker_that_is_frozen_does_not_freeze_the_look(context: Context, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        messenger = Messenger(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/0", None)
        began = time.monotonic()
        parts = readiness.look_at_api(dataclasses.replace(context, messenger=messenger))
        messenger.close()
        assert time.monotonic() - began < 4
    assert parts["broker"]["ok"] and "does not answer" in parts["broker"]["detail"]


def test_one_machine_names_every_part(api: httpx.Client) -> None:
    parts = api.get("/readyz").json()["parts"]
    assert {"database", "broker", "index", "blobs", "planner worker", "image worker", "solution worker"} <= set(parts)
    assert parts["blobs"]["ok"] and parts["database"]["ok"]


def test_an_old_schema_is_not_ready_and_a_newer_one_is(api: httpx.Client, context: Context) -> None:
    """While a cluster is upgraded the schema is newer than the processes that are replaced next."""

    def answered(revision: str) -> httpx.Response:
        change = text("UPDATE alembic_version SET version_num = :revision")
        context.database.transact(lambda connection: connection.execute(change, {"revision": revision}))
        return api.get("/readyz", params={"of": "api"})

    old = answered("0001")
    assert old.status_code == 503
    assert "atelier migrate" in old.json()["parts"]["database"]["detail"]
    assert answered("9999").status_code == 200


def test_a_wrong_question_is_told(api: httpx.Client) -> None:
    assert api.get("/readyz", params={"of": "nothing"}).status_code == 422
