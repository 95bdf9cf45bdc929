"""The command line, with a studio that runs."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import httpx

from tests.orchestrator.conftest import ATELIER, House


def test_make_prints_exactly_the_promised_json(shared: House) -> None:
    made = shared.json("make", "a poem about the sea")
    assert set(made) == {"run", "plan", "assets", "reply"}
    assert made["run"]["status"] == "completed"
    assert made["plan"]["steps"][0]["tool"] == "write_text"
    (asset,) = made["assets"]
    assert set(asset) == {"id", "kind", "path", "caption", "seed"}
    with open(asset["path"]) as file:  # noqa: PTH123
        assert file.read().startswith("Roses are red")


def test_make_shows_the_plan_the_paths_and_the_reply(shared: House) -> None:
    said = shared.atelier("make", "a poem about the sky").stdout
    assert "write_text" in said
    assert str(shared.folder / "made") in said


def test_plan_prints_the_plan_and_runs_nothing(shared: House, api: httpx.Client) -> None:
    before = len(api.get("/v1/assets").json()["data"])
    plan = shared.json("plan", "a poem about rain")
    assert set(plan) == {"steps", "reply"}
    assert set(plan["steps"][0]) == {"id", "tool", "args"}
    time.sleep(0.3)
    assert len(api.get("/v1/assets").json()["data"]) == before


def test_what_cannot_be_done_is_declined_in_words(shared: House) -> None:
    made = shared.json("make", "order a pizza")
    assert made["plan"]["steps"] == made["assets"] == []
    assert made["reply"] == "I cannot bake."


def test_a_plan_is_run_from_a_file_and_from_the_input(shared: House) -> None:
    plan = json.dumps({"steps": [{"id": "s1", "tool": "write_text", "args": {"prompt": "a word"}}]})
    file = shared.folder / "plan.json"
    file.write_text(plan)
    assert shared.json("run", str(file))["run"]["status"] == "completed"
    assert shared.json("run", "-", input=plan)["run"]["status"] == "completed"


def test_a_faulty_plan_is_one_line_that_names_the_argument(shared: House) -> None:
    file = shared.folder / "faulty.json"
    file.write_text(
        json.dumps({"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "x", "size": 100}}]})
    )
    for path, said in ((str(file), "size"), (str(shared.folder / "none.json"), "none.json")):
        done = shared.atelier("run", path, check=False)
        assert done.returncode == 1
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stdout == ""


def test_runs_are_listed_shown_and_watched(shared: House) -> None:
    run = shared.json("make", "a poem about trees")["run"]["id"]
    assert run in [row["id"] for row in shared.json("runs", "list")]
    assert run in shared.atelier("runs", "list").stdout
    assert shared.json("runs", "show", run)["status"] == "completed"
    assert "completed" in shared.atelier("runs", "show", run).stdout
    events = [json.loads(line) for line in shared.atelier("runs", "watch", run, "--json").stdout.splitlines()]
    assert [event["sequence_number"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run.completed"
    unknown = shared.atelier("runs", "show", "run_nobody", check=False)
    assert unknown.returncode == 1
    assert "run_nobody" in unknown.stderr


def test_ctrl_c_cancels_the_run(shared: House, api: httpx.Client) -> None:
    before = {run["id"] for run in api.get("/v1/runs").json()["data"]}
    process = subprocess.Popen(
        [ATELIER, "make", "a slow thing"],
        env=shared.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (new := {run["id"] for run in api.get("/v1/runs").json()["data"]} - before):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    run = api.get(f"/v1/runs/{new.pop()}").json()
    assert run["status"] == "cancelled", said
    assert process.returncode == 130
    assert "Cancelling" in said
    assert "Traceback" not in said


def test_search_finds_and_gives_paths(shared: House) -> None:
    shared.json("make", "a poem about whales")
    hits = shared.json("search", "roses", "--kind", "text")
    assert hits
    assert {"id", "score", "kind", "caption", "path", "thumbnail"} == set(hits[0])
    assert hits[0]["score"] >= hits[-1]["score"]
    assert hits[0]["id"] in shared.atelier("search", "poem").stdout


def test_assets_are_listed_shown_and_exported(shared: House) -> None:
    asset = shared.json("make", "a poem about stones")["assets"][0]["id"]
    assert asset in [row["id"] for row in shared.json("assets", "list", "--kind", "text")]
    assert shared.json("assets", "show", asset)["recipe"]["tool"] == "write_text"
    out = shared.folder / "out"
    out.mkdir(exist_ok=True)
    path = shared.json("assets", "export", asset, "-o", str(out))["path"]
    assert path.startswith(str(out))
    assert path.endswith(".md")
    single = shared.json("assets", "export", asset, "-o", str(out / "mine.md"))["path"]
    assert single == str(out / "mine.md")


def test_a_text_makes_no_promise_and_verify_says_so(shared: House) -> None:
    asset = shared.json("make", "a poem about dust")["assets"][0]["id"]
    done = shared.atelier("verify", asset, check=False)
    assert done.returncode == 1
    assert "write_text" in done.stderr


def test_a_batch_goes_from_file_to_results(shared: House) -> None:
    file = shared.folder / "lines.jsonl"
    file.write_text('{"say": "a poem"}\nnot json\n{"tool": "write_text", "args": {"prompt": "a word"}}\n')
    done = shared.atelier("batch", "submit", str(file), "--wait", "--json", check=False)
    batch = json.loads(done.stdout)
    assert done.returncode == 1  # a line did not succeed
    assert batch["status"] == "completed"
    assert batch["counts"] == {"completed": 2, "bad_line": 1}
    lines = shared.atelier("batch", "results", batch["id"]).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["line"], row["status"]) for row in rows] == [(1, "completed"), (2, "bad_line"), (3, "completed")]
    errors = shared.atelier("batch", "results", batch["id"], "--errors").stdout.splitlines()
    assert [json.loads(line)["line"] for line in errors] == [2]
    assert "completed" in shared.atelier("batch", "status", batch["id"]).stdout


def test_the_index_is_rebuilt(shared: House) -> None:
    shared.json("make", "a poem about glass")
    built = shared.json("index", "rebuild")
    assert built["vectors"] >= 1
    assert shared.json("search", "poem")


def test_tools_and_models_are_listed_without_asking_the_studio(shared: House) -> None:
    assert {"generate_image", "write_text"} <= {row["id"] for row in shared.json("tools", "list")}
    assert {"cgan", "vae", "hash"} <= {row["id"] for row in shared.json("models", "list")}


def test_a_conversation_goes_on_until_the_input_ends(shared: House) -> None:
    done = shared.atelier("chat", input="a poem about moss\norder a pizza\n")
    assert "I cannot bake." in done.stdout
    assert str(shared.folder / "made") in done.stdout


def test_the_doctor_sees_the_studio(shared: House) -> None:
    done = shared.atelier("doctor", "--json", check=False)
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["studio"]["state"] == "ok"
    assert str(shared.url) in findings["studio"]["found"]
    assert findings["database"]["state"] == "ok"
    assert done.returncode == (0 if json.loads(done.stdout)["ok"] else 1)
