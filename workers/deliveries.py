"""Sends what webhooks are to hear, signed as Standard Webhooks says, beside the work in a few threads of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from store import batches, deliveries, views, webhooks
from store.database import Database
from store.deliveries import Taken
from store.runs import UnknownId
from tools.addresses import Origin
from tools.fetch import Fetcher, FetchError, FetchRefused

log = logging.getLogger(__name__)
SLOTS = 8
EACH = 2  # at once to one webhook
LOOK_S = 1.0
FORGET_S = 3600.0
TIMEOUT_S = 10.0
ANSWER_BYTES = 1 << 16  # what is read of an answer, whose status alone counts
GONE = 410
SHOWN = ("id", "status", "thread_id", "batch_id", "reply", "error", "assets", "created_at", "started_at", "ended_at")


def sign(secret: str, delivery_id: str, timestamp: int, body: bytes) -> str:
    """Give the value of `webhook-signature`.

    Args:
        secret: "whsec_" and the key in base 64.
        timestamp: seconds since 1970.

    Source:
        Standard Webhooks 1.0, symmetric signatures.
    """
    key = base64.b64decode(secret.removeprefix(webhooks.PREFIX))
    signed = hmac.new(key, b"%s.%d." % (delivery_id.encode(), timestamp) + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode("ascii")


class Sender:
    """Sends from one worker process; several of them share what is due.

    Args:
        allowed_private: origins in private networks that webhooks may name, because the settings do.
    """

    def __init__(self, database: Database, allowed_private: Collection[Origin] = ()) -> None:
        self._database = database
        self._fetcher = Fetcher(frozenset(allowed_private))
        self._pool = ThreadPoolExecutor(SLOTS, thread_name_prefix="delivery")
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()  # by webhook
        self._forgot_at = 0.0

    def run(self, ended: threading.Event) -> None:
        """Look for what is due until the event is set."""
        while not ended.is_set():
            try:
                taken = self.turn()
                self._forget()
            except Exception:
                log.exception("the deliveries could not be looked at; it goes on trying")
                taken = 0
            ended.wait(0.05 if taken else LOOK_S)

    def turn(self) -> int:
        """Begin to send what is due, as much as there is room for, and say how many that are."""
        with self._lock:
            room = SLOTS - self._busy.total()
            full = [webhook for webhook, count in self._busy.items() if count >= EACH]
        if room <= 0:
            return 0
        taken = deliveries.take(self._database, room, but=full, each=EACH)
        with self._lock:
            self._busy.update(one.webhook_id for one in taken)
        for one in taken:
            self._pool.submit(self._send, one)
        return len(taken)

    def close(self) -> None:
        """Take nothing new and wait for what is on its way."""
        self._pool.shutdown()

    def _forget(self) -> None:
        if time.monotonic() - self._forgot_at > FORGET_S or not self._forgot_at:
            self._forgot_at = time.monotonic()
            self._database.transact(lambda c: deliveries.forget(c, self._database.clock.now()))

    def _send(self, taken: Taken) -> None:
        try:
            self._attempt(taken)
        except Exception:  # it is due again when its lease ends
            log.exception("delivery %s was not carried out", taken.id)
        finally:
            with self._lock:
                self._busy -= Counter([taken.webhook_id])

    def _attempt(self, taken: Taken) -> None:
        try:
            with self._database.read() as connection:
                body = _body(connection, taken)
        except UnknownId as error:
            self._note(deliveries.given_up, taken, None, str(error))
            return
        try:
            answer = self._fetcher.fetch(
                "POST",
                taken.url,
                headers=_headers(taken, body),
                content=body,
                max_bytes=ANSWER_BYTES,
                timeout_s=TIMEOUT_S,
                follow=False,
            )
        except FetchRefused as error:
            self._note(deliveries.given_up, taken, None, str(error))
        except FetchError as error:
            self._note(deliveries.failed, taken, None, str(error))
        else:
            self._answered(taken, answer.status)

    def _answered(self, taken: Taken, status: int) -> None:
        now = self._database.clock.now()
        if 200 <= status < 300:
            self._database.transact(lambda c: deliveries.delivered(c, taken, status, now))
        elif status == GONE:
            why = "the receiver says that it is gone (410); the webhook is switched off"
            self._note(deliveries.given_up, taken, status, why)
            self._database.transact(lambda c: webhooks.switch_off(c, taken.webhook_id, why, now))
        else:
            is_redirect = 300 <= status < 400
            why = "it redirects, which is not followed" if is_redirect else "an answer of 200 to 299 was expected"
            self._note(deliveries.failed, taken, status, f"it answered {status}; {why}")

    def _note(self, how: Any, taken: Taken, status: int | None, why: str) -> None:
        log.warning("delivery %s of webhook %s, attempt %d: %s", taken.id, taken.webhook_id, taken.attempt, why)
        self._database.transact(lambda c: how(c, taken, status, why, self._database.clock.now()))


def _headers(taken: Taken, body: bytes) -> dict[str, str]:
    now = int(time.time())
    return {
        "content-type": "application/json",
        "user-agent": "atelier-webhooks",
        "webhook-id": taken.id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(taken.secret, taken.id, now, body),
    }


def _body(connection: Connection, taken: Taken) -> bytes:
    at = datetime.fromtimestamp(taken.created_at, UTC).isoformat().replace("+00:00", "Z")
    said = {"type": taken.event, "timestamp": at, "data": _about(connection, taken)}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _about(connection: Connection, taken: Taken) -> dict[str, Any]:
    """Give the run or the batch as it is now: what was asked for stays here, a receiver with a key can read it."""
    if taken.event == deliveries.TEST:
        return {"id": taken.subject_id}
    if taken.event in deliveries.OF_BATCHES:
        return batches.get(connection, taken.owner, taken.subject_id)
    run = views.get(connection, taken.owner, taken.subject_id)
    shown = SHOWN + (("plan",) if taken.event == "approval.required" else ())
    return {name: run[name] for name in shown}
