"""What a tool is: its arguments, what it makes, and the workshop it works in.

This module is light: no network library is imported here, so the API and the planner can read every spec.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints

if TYPE_CHECKING:
    import numpy as np

    from tools.solutions.base import Returned

Kind = Literal["image", "video", "audio", "music", "text"]
KINDS: tuple[Kind, ...] = ("image", "video", "audio", "music", "text")
SEED_BITS = 31

# "$s1": all that step s1 made; "$s1[0]": its first; "@asset_01J…": an asset of the library.
REFERENCE = r"^(\$s[0-9]{1,3}(\[[0-9]{1,3}\])?|@asset_[0-9A-HJKMNP-TV-Z]{26})$"
STYLE_NAME = r"^[a-z][a-z0-9-]{0,31}$"  # how a company calls its look


class ToolError(Exception):
    """A tool could not do what it was asked; the subclass says who can mend it."""


class InvalidInput(ToolError):
    """The arguments or inputs do not fit; the planner or the user can mend them."""


class TryLater(ToolError):
    """Something outside was not there just now; the worker tries again with back-off.

    Attributes:
        after_s: nothing was tried yet, and there is room in so many seconds; such a turn is no attempt.
    """

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class ToolFailed(ToolError):
    """It cannot be done, and trying again would not help."""


class Cancelled(ToolError):
    """The run was cancelled; raised by `Workshop.progress` and let through by every tool."""


@dataclass(frozen=True)
class Takes:
    """Marks an argument that refers to assets, with the kinds that fit."""

    kinds: tuple[Kind, ...]


ImageRef = Annotated[str, StringConstraints(pattern=REFERENCE), Takes(("image",))]
AudioRef = Annotated[str, StringConstraints(pattern=REFERENCE), Takes(("audio", "music"))]
AnyRef = Annotated[str, StringConstraints(pattern=REFERENCE), Takes(KINDS)]


class ToolArgs(BaseModel):
    """Base of all arguments: frozen, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Source:
    """A place in a document, or a tool of a solution, that words come from."""

    solution: str
    document: str
    place: str = ""


@dataclass(frozen=True)
class Passage:
    """A piece of a document that was found; `score` is the cosine with the question, in [-1, 1]."""

    text: str
    source: Source
    score: float


@dataclass(frozen=True)
class Made:
    """One thing that a tool made.

    Attributes:
        kind: what it is.
        media_type: for example "image/png".
        content: the bytes as they are stored; the recipe is already inside where the format allows it.
        caption: what it shows, in words; it is what search finds.
        args: the arguments that make exactly this one thing again, references written as "sha256:…".
        seed: the seed that made it, if any.
        tags: single words for filters.
        parents: ids of the assets it was made from.
        width, height: pixels. seconds: length of what plays.
        models: families whose weights made it; their hash goes into the recipe.
        latents: (…) float32, where it lies in its generator's latent space.
        thumbnail: a PNG for lists, where the tool has one at hand; None lets the worker make it from the content.
        sources: where its words come from, if they come from documents or solutions.
    """

    kind: Kind
    media_type: str
    content: bytes
    caption: str
    args: dict[str, Any]
    seed: int | None = None
    tags: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    models: tuple[str, ...] = ()
    latents: np.ndarray | None = None
    thumbnail: bytes | None = None
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Found:
    """An asset of the library that a step found; it becomes a result of the step without being made anew."""

    asset_id: str
    score: float


@dataclass(frozen=True)
class Input:
    """An asset that a tool was given.

    Attributes:
        latents: float32 array of its generator's latent space, or None (an upload, say).
        sources: where its words come from, if they come from documents or solutions.
        style: the weights of the trained look that it was drawn in ("style/acme"), where a tool keeps the look.
    """

    asset_id: str
    kind: Kind
    media_type: str
    sha256: str
    content: bytes
    caption: str
    latents: np.ndarray | None = None
    sources: tuple[Source, ...] = ()
    style: str | None = None


class Workshop(Protocol):
    """What a tool gets besides its arguments: the only way out of it to the rest of the studio."""

    def progress(self, fraction: float, preview: bytes | None = None) -> None:
        """Say how far the work is, from 0 to 1, with a small PNG to look at if there is one.

        Raises:
            Cancelled: the run was cancelled; let it through.
        """

    def inputs(self, references: str | Sequence[str]) -> list[Input]:
        """Open the assets behind already resolved references ("@asset_…"), in order.

        Raises:
            InvalidInput: one of them does not exist.
        """

    def model(self, family: str) -> Any:
        """Give the loaded model of a family; it stays loaded for the next step."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Give the unit vectors of texts, (N, D) float32, in the space that search uses."""

    def search(
        self, *, query: str | None, like: str | None, kind: str | None, tags: Sequence[str], limit: int
    ) -> list[Found]:
        """Find assets of the run's owner by meaning."""

    def write(self, prompt: str, *, about: Sequence[str], max_words: int, seed: int) -> str:
        """Let the language model write, and stream what it writes to whoever follows the run."""

    def consult(self, question: str, *, solution: str | None, limit: int) -> list[Passage]:
        """Find the passages of the owner's documents that answer a question, best first; none where nothing does.

        Raises:
            InvalidInput: there is no such solution, or it holds no documents.
        """

    def ask(self, tool: str, args: Mapping[str, Any]) -> Returned:
        """Call a tool of a solution ("acme.find_product") within its limits; the call is logged.

        Raises:
            ToolError: there is no such tool, it was not approved as it is now, or it did not do its part.
        """


@dataclass(frozen=True)
class Job:
    """One step as a runner sees it: its checked arguments (seed filled in), its own workshop, and its tool's name."""

    args: Any
    workshop: Workshop
    tool: str = ""


Results = list[Made] | list[Found]


@dataclass(frozen=True)
class Example:
    """A request that this tool answers, and the step that answers it (arguments only)."""

    say: str
    args: dict[str, Any]


def _no_batch(_: Any) -> str | None:
    return None


def _no_models(_: Any) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class ToolSpec:
    """What the planner, the API and the workers know about a tool without loading it.

    Attributes:
        name: how plans call it.
        description: one sentence for the language model.
        args: the model of its arguments, with units and limits.
        gives: the kind it makes; None where it finds assets of any kind.
        queue: the Celery queue of the workers that can run it.
        runner: "package.module:function"; the function takes an equal-shaped batch of jobs and returns, for
            each job, its results or the ToolError that it ended with. It raises only what concerns all jobs.
        exact: the same recipe makes the same bytes on the same kind of machine.
        draws: it uses chance, so a seed that is not given is drawn and recorded.
        batch_key: steps with an equal key may share one call; None runs alone.
        batch: the most jobs a call takes.
        models: families whose weights the result depends on, for given arguments.
        families: nets that it may ask the workshop for, whatever its arguments; only workers that may load all of
            them run it.
        cost: pictures that the arguments ask for; budgets add them up.
        examples: requests for the planner's prompt.
        version: raised when the same arguments no longer make the same bytes.
        sends: it sends, changes or deletes something outside the studio; a plan with it waits for approval.
        trusted: it sends, and needs no approval unless the plan was made after reading words from outside.
        reads: what it gives holds words from outside (documents, solutions), which are data and never instructions.
        choices: arguments whose values are names: of weights trained here, {"style": "style"} (family), or of solutions
            with documents, {"solution": "knowledge"}.
        always: the values of such arguments that are always there.
        keeps: the argument, a reference to a picture, whose trained look the result has too.
    """

    name: str
    description: str
    args: type[ToolArgs]
    gives: Kind | None
    queue: str
    runner: str
    exact: bool = True
    draws: bool = False
    batch: int = 1
    batch_key: Callable[[Any], str | None] = _no_batch
    models: Callable[[Any], tuple[str, ...]] = _no_models
    families: tuple[str, ...] = ()
    cost: Callable[[Any], int] = field(default=lambda args: int(getattr(args, "count", 1)))
    examples: tuple[Example, ...] = ()
    version: int = 1
    sends: bool = False
    trusted: bool = False
    reads: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)
    always: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keeps: str | None = None


def draw_seed() -> int:
    """Draw a seed that a person can read aloud: 0 ≤ seed < 2**31."""
    return secrets.randbits(SEED_BITS)


def child_seed(seed: int, index: int) -> int:
    """Give the seed of the picture `index` of a step: consecutive, so each is made alone by its own seed."""
    return (seed + index) % (1 << SEED_BITS)


def sha256_hex(content: bytes) -> str:
    """Give the sha256 of bytes in hex."""
    return hashlib.sha256(content).hexdigest()
