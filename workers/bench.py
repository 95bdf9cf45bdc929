"""What a worker process keeps open: tables, blobs, index, models, and the messages to others."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from store import transition
from store.blobs import Blobs
from store.database import Database
from store.index import Index
from store.steps import Claim
from store.transition import Transition, Wake
from store.turns import OF_SOLUTIONS
from tools.base import ToolSpec
from workers.catalogue import Catalogue
from workers.consult import Shelves
from workers.leases import Leases
from workers.messages import Messenger
from workers.residency import Residency
from workers.solutions import Solutions
from workers.watch import Watch

log = logging.getLogger(__name__)

# A step of the studio itself: gets the bench and the claim, gives the change that its completion makes.
InnerRunner = Callable[["Bench", Claim], Callable[[Transition], None]]
SOLUTION_QUEUE = "solution"
PATIENCE_S = 60.0  # with a database that is away; nothing else can be done without it
Encoder = Any  # models.embedding.TextEncoder or its fake: .encode(texts) -> (N, D), .space, .dim


@dataclass
class Bench:
    """The open things of one worker process. Whoever makes it closes it.

    Attributes:
        name: the worker's name; a new process of the same name takes back what its forerunner held.
        specs: the studio's own tools by name; `tools` gives those of an owner.
        inner: runners of "studio.…" steps by tool name; given by whoever starts the worker.
        load_encoder: gives the text encoder; called once, at the first use.
        load_chat: gives the language model (a LangChain chat model); called once, at the first use.
        load_model: gives the model of a family.
        families: the nets that this worker may load; None: all.
        host: the machine. version: of this release. device: what nets run on. slots: steps at once.
        draining: it was asked to end, and claims nothing new.
        watch: what is shown of the work to those outside.
    """

    name: str
    queues: tuple[str, ...]
    database: Database
    blobs: Blobs
    index: Index
    messenger: Messenger
    specs: Mapping[str, ToolSpec]
    load_encoder: Callable[[], Encoder]
    load_chat: Callable[[], Any]
    load_model: Callable[[str], Any]
    inner: Mapping[str, InnerRunner] = field(default_factory=dict)
    lease_s: float = 15.0
    max_attempts: int = 3
    memory_bytes: int = 4 << 30
    families: frozenset[str] | None = None
    host: str = field(default_factory=socket.gethostname)
    version: str | None = None
    device: Mapping[str, Any] | None = None
    slots: int = 1
    draining: bool = False
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        self.leases = Leases(self.database, self.lease_s)
        self.models = Residency(self._load, self.memory_bytes)
        self.solutions = Solutions(self.database)
        self.shelves = Shelves(self.database)
        self._catalogue = Catalogue(self.database, self.specs)
        self._loading = threading.Lock()

    @cached_property
    def _encoder(self) -> Encoder:
        return self.load_encoder()

    @cached_property
    def _chat(self) -> Any:
        return self.watch.listening(self.load_chat())

    @property
    def encoder(self) -> Encoder:
        """The text encoder, loaded at the first use."""
        with self._loading:
            return self._encoder

    @property
    def chat(self) -> Any:
        """The language model, loaded at the first use."""
        with self._loading:
            return self._chat

    def _load(self, name: str) -> Any:
        """Load shipped weights, or those that were trained here: "style/acme@" and the sha256 of their blob."""
        with self.watch.loading(name):
            return self._loaded(name)

    def _loaded(self, name: str) -> Any:
        family, _, sha256 = name.partition("@")
        if not sha256:
            return self.load_model(family)
        from models import registry

        kind = str((self.device or {}).get("kind", "cpu"))
        return registry.load_trained(family, self.blobs.get(sha256), kind)

    def tools(self, owner: str) -> Mapping[str, ToolSpec]:
        """Give the tools that an owner's plans can use: those of `specs`, and those of solutions."""
        return self._catalogue.tools(owner)

    def able(self) -> list[str]:
        """Give the tools that this worker can run: it knows them, and may load their nets."""
        solutions = [OF_SOLUTIONS] if SOLUTION_QUEUE in self.queues else []
        return [*(spec.name for spec in self.specs.values() if self._may_load(spec)), *self.inner, *solutions]

    def offers(self) -> list[str]:
        """Give those of them that its queues bring."""
        elsewhere = {spec.name for spec in self.specs.values() if spec.queue not in self.queues}
        return [name for name in self.able() if name not in elsewhere]

    def _may_load(self, spec: ToolSpec) -> bool:
        return self.families is None or self.families.issuperset(spec.families)

    def change(self, change: Callable[[Transition], Any]) -> Any:
        """Commit a change of state, then send its wake-up calls.

        While the database is away it waits: what took minutes to make is not thrown away. So a change may run again
        although it was committed, and finds out by its token.
        """
        with self.watch.span("sql.transaction"):
            result, wakes = transition.run(self.database, change, patience_s=PATIENCE_S)
        self.send(wakes)
        return result

    def send(self, wakes: list[Wake]) -> int:
        """Send wake-up calls, and say how many the broker took; the others are sent again later."""
        return self.messenger.send(wakes) if wakes else 0

    def tell(self, run_id: str, event: str, **fields: Any) -> None:
        """Say something that may be dropped (progress, a preview, a piece of text)."""
        try:
            transition.run(self.database, lambda t: t.emit(run_id, event, **fields))
        except Exception:
            log.warning("event %s of run %s was dropped", event, run_id, exc_info=True)

    def close(self) -> None:
        """Close everything that was opened."""
        self.solutions.close()
        self.messenger.close()
        self.database.close()
        self.watch.close()
