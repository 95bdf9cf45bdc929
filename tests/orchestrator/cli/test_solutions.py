"""`atelier solutions` against a running studio, with a real MCP server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.orchestrator.conftest import House

SERVER = Path(__file__).parents[2] / "solutions" / "servers" / "good.py"
COMMAND = f"{sys.executable} {SERVER}"


def test_from_added_to_called_to_removed(shared: House) -> None:
    added = shared.json("solutions", "add", "good", "--mcp", COMMAND, "--description", "A good one.")
    assert added["state"] == "new"
    assert "letters" in [tool["name"] for tool in added["offered"]]

    seen = shared.atelier("solutions", "check", "good", "--yes")
    assert "good.letters" in seen.stdout
    assert "Solution good is approved." in seen.stderr
    assert "good\tmcp\tapproved\tA good one." in shared.atelier("solutions", "list").stdout
    assert "good.letters" in [tool["id"] for tool in shared.json("tools", "list")]

    plan = {"steps": [{"id": "s1", "tool": "good.letters", "args": {"count": 4}}], "reply": ""}
    made = json.loads(shared.atelier("run", "-", "--json", input=json.dumps(plan)).stdout)
    assert made["run"]["status"] == "completed"
    assert [call["tool"] for call in shared.json("solutions", "calls", "good")] == ["letters"]

    shared.atelier("solutions", "remove", "good")
    assert shared.json("solutions", "list") == []


def test_documents_are_added_and_listed(shared: House, tmp_path: Path) -> None:
    page = tmp_path / "returns.md"
    page.write_text("# Returns\n\nWhat you bought can be sent back within thirty days.\n")
    (tmp_path / "house").mkdir()
    shared.json("solutions", "add", "house", "--knowledge", str(tmp_path / "house"))
    (listed,) = shared.json("solutions", "documents", "house", "--add", str(page))
    assert (listed["path"], listed["passages"], listed["error"]) == ("returns.md", 1, None)
    (tmp_path / "house" / "broken.pdf").write_text("no PDF\n")
    seen = shared.atelier("solutions", "check", "house")
    assert seen.stdout == "Documents: 2; 1 of them cannot be read: atelier solutions documents house\n"
    shared.atelier("solutions", "remove", "house")


def test_a_folder_that_is_not_there_is_nothing_to_approve(shared: House, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    done = shared.atelier("solutions", "add", "house", "--knowledge", str(nowhere), "--yes", check=False)
    assert done.returncode == 1
    assert f"folder '{nowhere}' cannot be read" in done.stderr
    assert "nothing to approve" in done.stderr
    shared.atelier("solutions", "remove", "house")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "evil"), "give one of --mcp"),
        (("add", "evil", "--mcp", "a", "--openapi", "b"), "give one of --mcp"),
        (("add", "Evil", "--mcp", "a"), "'Evil' is no name: small letters"),
        (("add", "evil", "--declaration", "/nowhere.json"), "cannot be read"),
        (("add", "evil", "--mcp", "'python"), "No closing quotation"),
        (("add", "evil", "--mcp", ""), "a program and its words"),
        (("documents", "evil", "--add", "/nowhere.txt"), "there is no file '/nowhere.txt'"),
        (("check", "evil"), "there is no solution 'evil'"),
        (("new", "Evil Name"), "Evil Name"),
    ],
)
def test_what_is_wrong_is_one_line(shared: House, words: tuple[str, ...], says: str) -> None:
    done = shared.atelier("solutions", *words, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert says in line


def test_a_program_that_is_not_there_says_so(shared: House) -> None:
    done = shared.atelier("solutions", "add", "gone", "--mcp", "no-such-program --at all", check=False)
    assert done.returncode == 1
    assert "no-such-program" in done.stderr
    (row,) = shared.json("solutions", "list")
    assert "no-such-program" in row["error"]["message"]
    findings = json.loads(shared.atelier("doctor", "--json", check=False).stdout)["findings"]
    (finding,) = [finding for finding in findings if finding["what"] == "solution gone"]
    assert "no-such-program" in finding["found"]
    assert finding["remedy"] == "atelier solutions check gone"
    shared.atelier("solutions", "remove", "gone")
