"""`atelier solutions`: what a company plugs in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import connect, follow
from orchestrator.cli.output import Json, fail, print_json, print_table, settings
from orchestrator.cli.tracking import Limit, when

if TYPE_CHECKING:
    from orchestrator.cli.client import Client

app = typer.Typer(help="A company's own solutions: services, documents, looks.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a solution.")]
Yes = Annotated[bool, typer.Option("--yes", help="Approve what it offers without asking.")]
CHARACTERS = 90  # of a tool's description


@app.command("list")
def list_solutions(as_json: Json = False) -> None:
    """List the solutions, with their state and last error."""
    with connect.studio(settings(), works=False) as client:
        found = client.get("/v1/solutions")["data"]
    if as_json:
        print_json(found)
        return
    if not found:
        connect.note("There are no solutions yet: atelier solutions add NAME --help")
    rows = [(one["id"], one["kind"], one["state"], _error(one) or one["description"]) for one in found]
    print_table(("solution", "kind", "state", "about"), rows)


@app.command()
def add(
    name: Name,
    mcp: Annotated[str | None, typer.Option(help="An MCP server: its address, or the program and its words.")] = None,
    openapi: Annotated[str | None, typer.Option(help="An OpenAPI 3 document: its address or path.")] = None,
    knowledge: Annotated[list[Path] | None, typer.Option(help="A folder of documents; may be given again.")] = None,
    declaration: Annotated[
        Path | None, typer.Option(help="A file with the declaration as JSON; - is the input.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for, in a sentence.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Its own address may be a private one.")] = False,
    bearer_env: Annotated[str | None, typer.Option(help="The environment variable with its bearer token.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Add a solution, show what it offers, and approve that."""
    wanted = _declaration(mcp, openapi, knowledge, declaration, bearer_env)
    if description is not None:
        wanted["description"] = description
    if private:
        wanted["private"] = True
    with connect.studio(settings()) as client:
        added = client.post("/v1/solutions", {"name": name, "declaration": wanted})
        _approve(client, _looked(client, name, added["check"]), yes=yes, as_json=as_json)


@app.command()
def check(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Look at what a solution offers now; what is new or changed can be approved."""
    with connect.studio(settings()) as client:
        run = client.post(f"/v1/solutions/{name}/check")
        _approve(client, _looked(client, name, run["id"]), yes=yes, as_json=as_json)


@app.command()
def remove(name: Name) -> None:
    """Forget a solution; assets that came of it stay."""
    with connect.studio(settings(), works=False) as client:
        client.delete(f"/v1/solutions/{name}")
    connect.note(f"Solution {name} was removed.")


@app.command()
def calls(name: Name, limit: Limit = 20, as_json: Json = False) -> None:
    """List what was asked of a solution, newest first, with how it ended."""
    with connect.studio(settings(), works=False) as client:
        found = client.get(f"/v1/solutions/{name}/calls", limit=limit)["data"]
    if as_json:
        print_json(found)
        return
    rows = [(when(one["started_at"]), one["tool"], _took(one), one["size_bytes"], _ended(one)) for one in found]
    print_table(("when", "tool", "seconds", "bytes", "error"), rows)


@app.command()
def documents(
    name: Name,
    add: Annotated[list[Path] | None, typer.Option(help="A file to add; may be given again.")] = None,
    as_json: Json = False,
) -> None:
    """List the documents of a solution, with why those that could not be read were not."""
    from urllib.parse import urlencode

    path = f"/v1/solutions/{name}/documents"
    if missing := [file for file in add or () if not file.is_file()]:
        fail(f"there is no file {str(missing[0])!r}")
    with connect.studio(settings(), works=bool(add)) as client:
        for file in add or ():
            client.send_file(f"{path}?{urlencode({'filename': file.name})}", file)
        if add:
            follow.to_the_end(client, client.post(f"/v1/solutions/{name}/check")["id"], follow.Silent())
        found = client.get(path)["data"]
    if as_json:
        print_json(found)
        return
    rows = [(one["path"], one["origin"] or "a folder", one["passages"], one["error"] or one["title"]) for one in found]
    print_table(("document", "from", "passages", "title, or what is wrong"), rows)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the package and of its tool.")],
    into: Annotated[Path, typer.Option(help="The folder that it is written into.")] = Path(),
) -> None:
    """Write a small package with a tool of your own and a test that passes."""
    from orchestrator.template import write_package

    try:
        written = write_package(name, into)
    except (ValueError, OSError) as error:
        fail(str(error))
    for path in written:
        print(path)


def _declaration(
    mcp: str | None, openapi: str | None, knowledge: list[Path] | None, declaration: Path | None, bearer_env: str | None
) -> dict[str, Any]:
    given = [mcp is not None, openapi is not None, bool(knowledge), declaration is not None]
    if sum(given) != 1:
        fail("give one of --mcp, --openapi, --knowledge and --declaration")
    if mcp is not None:
        return _mcp(mcp, bearer_env)
    if openapi is not None:
        place = openapi if "://" in openapi else str(Path(openapi).absolute())
        auth = {"auth": {"type": "bearer", "token": {"env": bearer_env}}} if bearer_env else {}
        return {"kind": "openapi", "document": place, **auth}
    if knowledge:
        return {"kind": "knowledge", "folders": [str(folder.absolute()) for folder in knowledge]}
    assert declaration is not None  # noqa: S101  # one of the four
    return _read(declaration)


def _mcp(said: str, bearer_env: str | None) -> dict[str, Any]:
    import shlex

    if not said.startswith(("http://", "https://")):
        try:
            command = shlex.split(said)
        except ValueError as error:
            fail(f"--mcp {said!r} is no line of a shell: {error}")
        if not command:
            fail("--mcp is an address, or a program and its words: 'python server.py'")
        return {"kind": "mcp", "command": command, "cwd": str(Path.cwd())}
    if bearer_env is not None:
        fail("a header of an MCP server is declared in a file: --declaration; its secret is the whole header")
    return {"kind": "mcp", "url": said}


def _read(path: Path) -> dict[str, Any]:
    from tools.solutions.places import place

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
        found = json.loads(text)
    except (OSError, ValueError) as error:
        fail(f"the declaration {str(path)!r} cannot be read: {error}")
    if not isinstance(found, dict):
        fail('a declaration is an object: {"kind": "mcp", …}')
    place(found, (Path.cwd() if str(path) == "-" else path.absolute().parent))
    return found


def _looked(client: Client, name: str, run_id: str) -> dict[str, Any]:
    run = follow.to_the_end(client, run_id, follow.Silent())
    if run["status"] != "completed":
        fail((run["error"] or {}).get("message") or f"the check of {name} ended as {run['status']}")
    found: dict[str, Any] = client.get(f"/v1/solutions/{name}")
    return found


def _approve(client: Client, solution: dict[str, Any], *, yes: bool, as_json: bool) -> None:
    """Show what a solution offers, and approve it if the person says so."""
    if not as_json:
        _show(client, solution)
    waits = solution["state"] in {"new", "changed"} and solution["offered_digest"] is not None
    if waits and (yes or (not as_json and sys.stdin.isatty() and typer.confirm("Approve these tools as they are?"))):
        path = f"/v1/solutions/{solution['id']}/approve"
        solution = client.post(path, {"digest": solution["offered_digest"]})
    if as_json:
        print_json(solution)
    else:
        connect.note(f"Solution {solution['id']} is {solution['state']}.")
    if solution["state"] not in {"new", "changed"}:
        return
    if solution["offered_digest"] is None:
        fail(f"there is nothing to approve yet; look again: atelier solutions check {solution['id']}")
    connect.note(f"Its tools can be used once they are approved: atelier solutions check {solution['id']} --yes")


def _show(client: Client, solution: dict[str, Any]) -> None:
    if solution["kind"] == "knowledge":
        _show_documents(client, solution)
    elif solution["offered"]:
        _show_tools(solution)
    if error := _error(solution):
        connect.note(error)


def _show_documents(client: Client, solution: dict[str, Any]) -> None:
    found = client.get(f"/v1/solutions/{solution['id']}/documents")["data"]
    unread = sum(one["error"] is not None for one in found)
    note = f"; {unread} of them cannot be read: atelier solutions documents {solution['id']}" if unread else ""
    print(f"Documents: {len(found)}{note}")


def _show_tools(solution: dict[str, Any]) -> None:
    approved = {tool["name"]: tool for tool in solution["approved"] or ()}
    rows = []
    for tool in solution["offered"] or ():
        news = "" if approved.get(tool["name"]) == tool else ("changed" if tool["name"] in approved else "new")
        does = "sends or changes" if tool["sends"] else "reads"
        rows.append((f"{solution['id']}.{tool['name']}", does, news, tool["description"][:CHARACTERS]))
    print_table(("tool", "does", "", "in its own words"), rows)


def _error(solution: dict[str, Any]) -> str:
    return str((solution["error"] or {}).get("message") or "")


def _ended(call: dict[str, Any]) -> str:
    if call["ended_at"] is None:
        return "has not ended: it is being called, or the worker died meanwhile"
    return call["error"] or ""


def _took(call: dict[str, Any]) -> float | None:
    return None if call["ended_at"] is None else call["ended_at"] - call["started_at"]
