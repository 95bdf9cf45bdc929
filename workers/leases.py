"""Renews the leases of the steps that run in this process, and notices when a run is to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from store import steps
from store.database import Database
from store.steps import Claim

log = logging.getLogger(__name__)


class Leases:
    """The steps that are held here; `beat` is called a few times a second by the pulse.

    Args:
        lease_s: how long a lease lasts; it is renewed when a third of it is gone.
    """

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database = database
        self._lease_s = lease_s
        self._held: dict[tuple[str, int], Claim] = {}
        self._calls = 0
        self._stopped: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()
        self._renewed_at = 0.0

    @contextmanager
    def hold(self, claims: Sequence[Claim]) -> Iterator[None]:
        """Keep the leases of these steps alive while the block runs."""
        keys = [(claim.id, claim.token) for claim in claims]
        with self._lock:
            self._held.update(zip(keys, claims, strict=True))
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                for key in keys:
                    self._held.pop(key, None)
                    self._stopped.pop(key, None)

    @property
    def idle(self) -> bool:
        """Nothing is held."""
        return not self._held

    @property
    def calls(self) -> int:
        """How many calls of tools go on; each has a thread, and one or more steps."""
        return self._calls

    @property
    def busy(self) -> int:
        """How many steps are held."""
        return len(self._held)

    def held(self) -> list[Claim]:
        """Give the steps that are held."""
        with self._lock:
            return list(self._held.values())

    def stopped(self, claim: Claim) -> str | None:
        """Say why a step must stop ("cancelling" or "lost"), or None if it may go on."""
        return self._stopped.get((claim.id, claim.token))

    def beat(self) -> None:
        """Renew what is held if it is time, and see whose run is cancelled."""
        with self._lock:
            held = list(self._held.values())
        if not held:
            return
        now = self._database.clock.now()
        renew = now - self._renewed_at > self._lease_s / 3
        standing = self._renew(held, now) if renew else self._look(held)
        with self._lock:
            for claim in held:
                state = standing.get(claim.id, "held")
                if state != "held" and (claim.id, claim.token) in self._held:
                    self._stopped[claim.id, claim.token] = state
        if renew:
            self._renewed_at = now

    def _renew(self, held: Sequence[Claim], now: float) -> dict[str, str]:
        return self._database.transact(lambda connection: steps.renew(connection, held, now, self._lease_s))

    def _look(self, held: Sequence[Claim]) -> dict[str, str]:
        with self._database.read() as connection:
            return steps.cancelling(connection, held)
