"""The workshop of one step: what a tool may use of the studio."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from store import assets, search
from store.blobs import BlobError
from store.library import Filter
from store.steps import Claim
from tools.base import Cancelled, Found, Input, InvalidInput, Passage, Source, ToolFailed, TryLater
from tools.solutions.base import Returned
from workers.bench import Bench
from workers.solutions import Asking
from workers.trained import Pinned, look_of

if TYPE_CHECKING:
    import numpy as np

PROGRESS_EVERY_S = 0.25
PREVIEW_EVERY_S = 1.0
TEXT_EVERY_S = 0.1


class StepWorkshop:
    """Implements `tools.base.Workshop` for one claimed step. A step that is made again for a check tells nobody."""

    def __init__(self, bench: Bench, claim: Claim, pinned: Pinned | None = None, *, quiet: bool = False) -> None:
        self._bench = bench
        self._claim = claim
        self._pinned = pinned or {}
        self._quiet = quiet
        self._started = self._told_at = time.monotonic()  # a step that is done in a moment needs no progress
        self._previewed_at = 0.0

    def progress(self, fraction: float, preview: bytes | None = None) -> None:
        """See `tools.base.Workshop.progress`."""
        reason = self._bench.leases.stopped(self._claim)
        if reason is not None:
            raise Cancelled(f"step {self._claim.name!r} stops: {reason}")
        now = time.monotonic()
        if self._quiet or fraction >= 1 or now - self._told_at < PROGRESS_EVERY_S:  # the end is told by the step
            return
        self._told_at = now
        percent = round(100 * min(1.0, max(0.0, fraction)))
        eta_s = (now - self._started) * (1 - fraction) / fraction if fraction > 0 else None
        self._tell("step.progress", percent=percent, eta_s=None if eta_s is None else round(eta_s, 1))
        if preview is not None and now - self._previewed_at > PREVIEW_EVERY_S:
            self._previewed_at = now
            self._tell("step.preview", thumbnail="data:image/png;base64," + base64.b64encode(preview).decode())

    def inputs(self, references: str | Sequence[str]) -> list[Input]:
        """See `tools.base.Workshop.inputs`."""
        given = [references] if isinstance(references, str) else list(references)
        return [self._open(reference.removeprefix("@")) for reference in given]

    def _open(self, asset_id: str) -> Input:
        with self._bench.database.read() as connection:
            asset = assets.get(connection, self._claim.owner, asset_id, deleted=self._quiet)
            if asset is None:
                raise InvalidInput(f"there is no asset {asset_id!r}")
            latents = assets.latents(connection, asset_id)
            look = look_of(connection, self._claim.owner, asset_id) if self._pinned else None
        try:
            content = self._bench.blobs.get(asset.sha256)
        except BlobError as error:
            raise ToolFailed(f"the bytes of asset {asset_id!r} cannot be read: {error}") from error
        sources = tuple(Source(**source) for source in asset.sources or ())
        return Input(
            asset_id=asset.id,
            kind=asset.kind,  # type: ignore[arg-type]
            media_type=asset.media_type,
            sha256=asset.sha256,
            content=content,
            caption=asset.caption,
            latents=latents,
            sources=sources,
            style=look if look in self._pinned else None,
        )

    def model(self, family: str) -> Any:
        """See `tools.base.Workshop.model`."""
        version = self._pinned.get(family)
        try:
            return self._bench.models.get(family if version is None else f"{family}@{version.sha256}")
        except BlobError as error:
            raise ToolFailed(f"the weights {family!r} cannot be read: {error}") from error

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """See `tools.base.Workshop.embed`."""
        vectors: np.ndarray = self._bench.encoder.encode(list(texts))
        return vectors

    def search(
        self, *, query: str | None, like: str | None, kind: str | None, tags: Sequence[str], limit: int
    ) -> list[Found]:
        """See `tools.base.Workshop.search`."""
        space = self._bench.encoder.space
        vector = None
        exclude: tuple[str, ...] = ()
        if like is not None:
            asset_id = like.removeprefix("@")
            exclude = (asset_id,)
            with self._bench.database.read() as connection:
                vector = assets.vector(connection, asset_id, space)
            if vector is None:
                raise InvalidInput(f"like: asset {asset_id!r} has no vector to compare with")
        if query is not None:
            wanted = self.embed([query])[0]
            vector = wanted if vector is None else vector + wanted
        hits = search.search(
            self._bench.database,
            self._bench.index,
            owner=self._claim.owner,
            space=space,
            vector=vector,
            wanted=Filter(kind=kind, tags=tuple(tags)),
            limit=limit,
            exclude=exclude,
        )
        return [Found(hit.asset.id, hit.score) for hit in hits]

    def write(self, prompt: str, *, about: Sequence[str], max_words: int, seed: int) -> str:
        """See `tools.base.Workshop.write`."""
        from models.language.errors import LanguageModelError
        from models.language.write import write

        waiting: list[str] = []
        told_at = time.monotonic()

        def on_text(piece: str) -> None:
            nonlocal told_at
            waiting.append(piece)
            if time.monotonic() - told_at > TEXT_EVERY_S:
                self.progress(0.0)
                self._tell("text.delta", text="".join(waiting))
                waiting.clear()
                told_at = time.monotonic()

        try:
            text = write(self._bench.chat, prompt, list(about), max_words, seed, on_text)
        except (ConnectionError, TimeoutError) as error:
            raise TryLater(f"the language model does not answer: {error}") from error
        except LanguageModelError as error:
            raise ToolFailed(str(error)) from error
        if waiting:
            self._tell("text.delta", text="".join(waiting))
        return text

    def consult(self, question: str, *, solution: str | None, limit: int) -> list[Passage]:
        """See `tools.base.Workshop.consult`."""
        owner = self._claim.owner
        try:
            return self._bench.shelves.consult(
                self._bench.encoder, owner=owner, question=question, solution=solution, limit=limit
            )
        except ConnectionError as error:
            raise TryLater(f"the question's vector could not be had: {error}") from error

    def ask(self, tool: str, args: Mapping[str, Any]) -> Returned:
        """See `tools.base.Workshop.ask`."""
        claim = self._claim
        asking = Asking(claim.owner, claim.run_id, claim.id, self.progress, claim.token)
        with self._bench.watch.asking():
            return self._bench.solutions.ask(tool, args, asking)

    def _tell(self, event: str, **fields: Any) -> None:
        if not self._quiet:
            self._bench.tell(self._claim.run_id, event, step=self._claim.name, **fields)
