"""Solutions: what a company plugged in, what it offers, who approved it, and what was asked of it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import Connection

from orchestrator.api import accepting
from orchestrator.api.context import Admin, Context, Here, Known, Owner
from orchestrator.api.keyring import Caller
from orchestrator.api.lists import Limit, page
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.house import CallShape, SolutionShape
from orchestrator.api.shapes.work import Run
from orchestrator.errors import Conflict, Invalid
from store import keys, solutions, versions
from store.solutions import Solution
from tools import catalog
from tools.catalog import Package
from tools.solutions.base import NAME, Declaration, OfferedTool, digest
from tools.solutions.places import relative
from workers import checks

router = APIRouter(prefix="/v1/solutions", tags=["solutions"])


class NewSolution(BaseModel):
    """A solution and its declaration; secrets are named (`{"env": …}` or `{"file": …}`), never given."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(description="its tools are called NAME.TOOL", json_schema_extra={"pattern": NAME})
    declaration: Declaration = Field(description="how it is reached, and what it may cost")

    @field_validator("name")
    @classmethod
    def _fits(cls, name: str) -> str:
        if not re.fullmatch(NAME, name):
            raise ValueError(f"{name!r} is no name: small letters, digits and _, a letter first, 32 at most")
        return name


class Approval(BaseModel):
    """What was seen when it was approved."""

    model_config = ConfigDict(extra="forbid")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="`offered_digest` of the solution as it was shown")


@router.get("", response_model=Page[SolutionShape], response_model_exclude_unset=True)
def list_solutions(here: Here, owner: Owner, caller: Known) -> dict[str, Any]:
    """List the solutions that you may use, by name, and the installed packages that bring tools."""
    with here.database.read() as connection:
        found = [_with_look(connection, owner, one) for one in solutions.list_(connection, owner)]
    shown = [*(_shown(one, caller) for one in found), *(package_view(one) for one in catalog.packages())]
    return {"data": shown, "has_more": False, "next": None}


@router.post("", status_code=202, response_model=SolutionShape, response_model_exclude_unset=True)
def add(new: NewSolution, here: Here, admin: Admin) -> dict[str, Any]:
    """Declare a solution and look at what it offers; its tools can be used once they are approved."""
    declaration = new.declaration.model_dump(mode="json")
    if wrong := relative(declaration):
        raise Invalid(f"declaration: the path {wrong[0]!r} is relative; give it from the root", param="declaration")
    if any(package.name == new.name for package in catalog.packages()):
        raise Conflict(f"the name {new.name!r} is that of an installed package; take another")
    now = time.time()
    solution, _ = here.database.transact(
        lambda c: solutions.declare(c, new.name, declaration, source="api", now=now, by=admin)
    )
    run = accepting.submit(here, checks.new_run(admin, new.name))
    return view(solution) | {"check": run["id"]}


@router.get("/{name}", response_model=SolutionShape, response_model_exclude_unset=True)
def get_solution(name: str, here: Here, owner: Owner, caller: Known) -> dict[str, Any]:
    """Give a solution, with what it offers and what of that is approved."""
    return _shown(_find(here, name, owner), caller)


@router.delete("/{name}", status_code=204)
def remove(name: str, here: Here, admin: Admin) -> None:
    """Forget a solution; assets that came of it stay."""
    if _find(here, name, admin).source == "file":
        raise Conflict(f"solution {name!r} is declared in atelier.toml; remove it there and start the studio again")
    here.database.transact(lambda c: solutions.remove(c, name))


@router.post("/{name}/check", status_code=202, response_model=Run)
def check(name: str, here: Here, admin: Admin) -> dict[str, Any]:
    """Look at what a solution offers now; the run that does it says what came out."""
    _find(here, name, admin)
    return accepting.submit(here, checks.new_run(admin, name))


@router.post("/{name}/approve", response_model=SolutionShape, response_model_exclude_unset=True)
def approve(name: str, approval: Approval, here: Here, admin: Admin) -> dict[str, Any]:
    """Approve what a solution offers, as it was seen; from now on plans can use exactly that."""
    _find(here, name, admin)
    now = time.time()
    return view(here.database.transact(lambda c: solutions.approve(c, name, approval.digest, _digest, now=now)))


@router.get("/{name}/calls", response_model=Page[CallShape])
def list_calls(
    name: str,
    here: Here,
    owner: Owner,
    before: Annotated[
        int | None, Query(ge=1, le=(1 << 63) - 1, description="`next` of the page before this one")
    ] = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List what you asked of a solution, newest first, with how it ended."""
    _find(here, name, owner)
    with here.database.read() as connection:
        return page(lambda n: solutions.calls(connection, name, owner=owner, before=before, limit=n), limit)


def view(solution: Solution) -> dict[str, Any]:
    """Give a solution as clients see it."""
    return {
        "id": solution.name,
        "kind": solution.kind,
        "description": solution.declaration.get("description") or "",
        "owner": solution.owner,
        "source": solution.source,
        "state": solution.state,
        "error": solution.error,
        "limits": solution.declaration.get("limits"),
        "declaration": solution.declaration,
        "offered": solution.offered,
        "offered_digest": None if solution.offered is None else _digest(solution.offered),
        "approved": solution.approved,
        "created_at": solution.created_at,
        "checked_at": solution.checked_at,
    }


def _shown(solution: Solution, caller: Caller) -> dict[str, Any]:
    """Give a solution without its declaration, which names programs, folders and addresses, to who is no admin."""
    shown = view(solution)
    return shown if caller.may(keys.ADMIN) else {**shown, "declaration": None}


def package_view(package: Package) -> dict[str, Any]:
    """Give an installed package like a solution; whoever installed it has approved it."""
    tool = package.tool
    offered = [] if tool is None else [{"name": tool.name, "description": tool.description, "sends": tool.sends}]
    return {
        "id": package.name,
        "kind": "package",
        "description": package.summary,
        "owner": None,
        "source": "package",
        "state": "approved" if package.error is None else "failing",
        "error": None if package.error is None else {"message": package.error, "at": None},
        "version": package.version,
        "offered": offered,
        "approved": offered,
    }


def _digest(offered: list[dict[str, Any]]) -> str:
    return digest([OfferedTool.from_json(tool) for tool in offered])


def _find(here: Context, name: str, owner: str) -> Solution:
    with here.database.read() as connection:
        found = solutions.find(connection, name, owner)
        if found is None and any(package.name == name for package in catalog.packages()):
            raise Conflict(f"{name!r} is an installed package: it is changed and removed with pip")
        return _with_look(connection, owner, found or solutions.require(connection, name, owner))


def _with_look(connection: Connection, owner: str, solution: Solution) -> Solution:
    """Let a look say whether it was learned."""
    if solution.kind != "style":
        return solution
    if versions.newest(connection, owner, versions.STYLE, solution.name) is not None:
        return replace(solution, state=solutions.APPROVED)
    message = f"it was not learned yet: atelier styles train {solution.name}"
    return replace(solution, error={"message": message, "at": None})
