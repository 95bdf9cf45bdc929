"""What a worker process is to do: its name, its queues, the nets that it may load, how many steps at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import SettingsError
from orchestrator.settings import Settings
from workers.messages import VECTOR_QUEUE

TRAINING = "training"
PRESETS: Mapping[str, tuple[str, ...]] = {  # the workers of one machine
    "planner": ("planner", VECTOR_QUEUE),
    "image": ("image",),
    "solution": ("solution", TRAINING),
}


@dataclass(frozen=True)
class Post:
    """What one worker process is to do.

    Attributes:
        name: how it is called before the machine's name is added.
        families: the nets that it may load; None: all.
        slots: steps at once.
    """

    name: str
    queues: tuple[str, ...]
    families: frozenset[str] | None
    slots: int

    @property
    def plans(self) -> bool:
        """It plans requests and keeps the search index."""
        return "planner" in self.queues

    @property
    def minds_solutions(self) -> bool:
        """It asks solutions and reads documents."""
        return "solution" in self.queues

    @property
    def holds_nets(self) -> bool:
        """It embeds texts itself; others ask one that does."""
        return not set(self.queues) <= set(PRESETS["solution"])


def names(text: str | None) -> tuple[str, ...]:
    """Split "image,audio"."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def known_queues() -> tuple[str, ...]:
    """Give the queues that some tool or part of the studio puts work into."""
    from tools import catalog

    ours = (queue for queues in PRESETS.values() for queue in queues)
    return tuple(dict.fromkeys((*ours, *(spec.queue for spec in catalog.specs().values()))))


def post(
    settings: Settings,
    *,
    name: str | None = None,
    queues: Sequence[str] = (),
    models: Sequence[str] = (),
    slots: int | None = None,
) -> Post:
    """Put together what a worker is to do, from its options.

    Args:
        name: alone, that of a worker of one machine, which says the rest.
        queues, models: none means those of the name, and all.
        slots: None takes the settings' number for its queues.

    Raises:
        SettingsError: a queue or a model is unknown, or nothing could be done with these.
    """
    served = tuple(dict.fromkeys(queues)) or PRESETS.get(name or "", ())
    known = known_queues()
    if not served:
        raise SettingsError(
            "say what the worker does: --queues QUEUE,… or --name NAME; there are the queues "
            f"{', '.join(known)}, and the names {', '.join(PRESETS)}"
        )
    for queue in served:
        if queue not in known:
            raise SettingsError(f"there is no queue {queue!r}; there are {', '.join(known)}")
    if "planner" in served and VECTOR_QUEUE not in served:
        served = (*served, VECTOR_QUEUE)  # who plans a request also gives the vectors of searches
    families = _families(models)
    _check(served, families)
    return Post(name or "-".join(served), served, families, slots or _slots(settings, served))


def _families(models: Sequence[str]) -> frozenset[str] | None:
    from models import registry

    try:
        return registry.with_helpers(models) if models else None
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _check(queues: Sequence[str], families: frozenset[str] | None) -> None:
    """See that a worker of queues that only tools use can run one of their tools."""
    from tools import catalog

    if families is None:
        return
    for queue in queues:
        tools = {spec.name: spec.families for spec in catalog.specs().values() if spec.queue == queue}
        if tools and not any(families.issuperset(needed) for needed in tools.values()):
            wants = "; ".join(f"{tool} needs {', '.join(needed)}" for tool, needed in tools.items())
            raise SettingsError(f"with the models {', '.join(sorted(families))} no tool of {queue!r} can run: {wants}")


def _slots(settings: Settings, queues: Sequence[str]) -> int:
    slots = {"planner": settings.planner_slots, "solution": settings.solution_slots, TRAINING: settings.solution_slots}
    return max(slots.get(queue, settings.image_slots) for queue in queues)
