"""Accepting requests and plans: what the routes of runs, threads, plans and checks share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from orchestrator import errors
from orchestrator.api.context import Context
from orchestrator.api.keyring import ASKED_WITH
from orchestrator.planner.plan import Plan, assets_used, check
from orchestrator.settings import Settings
from store import assets, limits, runs, steering, views
from store.runs import NewRun, NewStep
from store.transition import Transition
from tools.base import InvalidInput
from workers.about import keep_private
from workers.planned import new_steps


def accept(
    here: Context,
    owner: str,
    *,
    request: str | None = None,
    plan: Mapping[str, Any] | None = None,
    thread_id: str | None = None,
    needs_approval: bool = False,
    plan_only: bool = False,
    idempotency_key: str | None = None,
    before: runs.Opening | None = None,
) -> dict[str, Any]:
    """Store a request or a plan and give its run; from here on it will be carried out.

    Args:
        before: makes the run's thread, where that is not there yet.

    Raises:
        Invalid: the plan does not fit the tools, or there is a character that cannot be stored.
        Conflict: the idempotency key was used for something else.
        UnknownId: there is no such thread.
    """
    keep_private(request, plan)
    if "\\u0000" in json.dumps([request, plan]).replace("\\\\", ""):
        raise errors.Invalid("the character U+0000 cannot be stored", param="say" if plan is None else "plan")
    checked, steps = (None, ()) if plan is None else check_plan(here, owner, plan)
    if request is not None and not request.strip():
        raise errors.Invalid("say: there are no words in it", param="say")
    new = NewRun(
        owner=owner,
        request=request,
        plan=checked,
        steps=steps,
        thread_id=thread_id,
        priority=runs.CHAT if plan is None else runs.DIRECT,
        needs_approval=needs_approval,
        plan_only=plan_only,
        idempotency_key=idempotency_key,
        max_attempts=here.settings.max_attempts,
        traceparent=here.watch.traceparent(),
        before=before,
    )
    return submit(here, new)


def submit(here: Context, new: NewRun) -> dict[str, Any]:
    """Commit a new run, wake a worker, and give the run.

    Raises:
        Conflict: the idempotency key was used for something else.
        TooManyRequests: too much waits already, or a limit of the key is reached.
        Invalid: it has more steps than the key may ever ask for in a day.
    """
    new = replace(new, key_id=ASKED_WITH.get())
    try:
        accepted = here.commit(lambda t: _admitted(t, new, here.settings))
    except limits.OverLimit as error:
        kind = errors.QuotaExceeded if error.of_key else errors.TooManyRequests
        raise kind(str(error), retry_after_s=error.retry_after_s) from error
    except limits.NeverFits as error:
        raise errors.Invalid(str(error), param="plan") from error
    run = view(here, new.owner, accepted.run_id)
    if not accepted.created and not _same(run, new):
        raise errors.Conflict(
            f"the key {new.idempotency_key!r} was used for another request, run {run['id']!r}; use a new one",
            param="Idempotency-Key",
        )
    return run


def _admitted(t: Transition, new: NewRun, settings: Settings) -> runs.Accepted:
    """Accept a run if there is room for it; one that was accepted before needs none."""
    if runs.seen_before(t, new) is None:
        limits.admit(
            t.connection,
            owner=new.owner,
            key_id=new.key_id,
            steps_wanted=len(new.steps),
            bounds=limits.Bounds(settings.max_open_runs, settings.max_open_runs_all),
            now=t.now,
        )
    return runs.accept(t, new)


def refuse_limited(here: Context) -> None:
    """Refuse a batch that comes with a limited key: its lines are accepted later, when nobody counts them.

    Raises:
        Forbidden: the key has limits.
    """
    with here.database.read() as connection:
        if limits.of_key(connection, ASKED_WITH.get()):
            raise errors.Forbidden("this key has limits, and the lines of a batch count in none; use a key without")


def _same(run: Mapping[str, Any], new: NewRun) -> bool:
    thread_id = new.thread_id if new.before is None else run["thread_id"]
    given = (new.request, thread_id, None if new.plan is None else dict(new.plan))
    # The plan of a request in words is the planner's; only a plan that came from outside can be compared.
    return given == (run["request"], run["thread_id"], run["plan"] if new.plan is not None else None)


def view(here: Context, owner: str, run_id: str) -> dict[str, Any]:
    """Give a run as clients see it."""
    with here.database.read() as connection:
        return views.get(connection, owner, run_id)


def check_plan(here: Context, owner: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], Sequence[NewStep]]:
    """Check a plan that came from outside.

    Raises:
        Invalid: it does not fit; the message names the step and the argument.
    """
    try:
        plan = Plan.model_validate({**given, "reply": given.get("reply") or ""})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        shape = '{"steps": [{"id", "tool", "args"}], "reply"}'
        raise errors.Invalid(f"{where}: {fault['msg']}; a plan is {shape}", param="plan") from error
    specs = here.tools(owner)
    with here.database.read() as connection:
        known = {asset.id: asset.kind for asset in assets.get_many(connection, owner, assets_used(plan, specs))}
    problems = check(plan, specs, known.get)
    if problems:
        raise errors.Invalid("; ".join(map(str, problems)), param="plan")
    shaped = plan.model_dump(mode="json")
    try:
        return shaped, new_steps(shaped, specs, here.settings.max_attempts)
    except InvalidInput as error:
        raise errors.Invalid(str(error), param="plan") from error


def approve(here: Context, owner: str, run_id: str, edited: Mapping[str, Any] | None) -> dict[str, Any]:
    """Start a run that waits for approval.

    Raises:
        Conflict: it does not wait, or has no plan.
        Invalid: the edited plan does not fit.
    """
    run = view(here, owner, run_id)
    plan = edited if edited is not None else run["plan"]
    if run["status"] != "waiting_approval" or plan is None:
        raise errors.Conflict(f"run {run_id!r} is {run['status']}; only a run that waits for approval can be approved")
    checked, steps = check_plan(here, owner, plan)
    here.commit(lambda t: steering.approve(t, owner, run_id, checked, steps))
    return view(here, owner, run_id)


def rerun(here: Context, owner: str, run_id: str, idempotency_key: str | None) -> dict[str, Any]:
    """Run the plan of a run again, or its words where there was no plan.

    A plan that sends something waits for approval where nobody has let it run yet.
    """
    run = view(here, owner, run_id)
    if run["plan"] and run["plan"].get("steps"):
        waits = not _has_begun(run) and _sends(here, owner, run["plan"])
        return accept(here, owner, plan=run["plan"], needs_approval=waits, idempotency_key=idempotency_key)
    return accept(here, owner, request=run["request"], thread_id=run["thread_id"], idempotency_key=idempotency_key)


def _has_begun(run: Mapping[str, Any]) -> bool:
    return any(not step["tool"].startswith("studio.") for step in run["steps"])


def _sends(here: Context, owner: str, plan: Mapping[str, Any]) -> bool:
    specs = here.tools(owner)
    return any(step["tool"] in specs and specs[step["tool"]].sends for step in plan["steps"])
