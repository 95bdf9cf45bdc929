"""The page's files: what browsers are told of them, and that nothing else is among them."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from orchestrator.api.page import WEB

FILES = sorted(str(path.relative_to(WEB)) for path in WEB.rglob("*") if path.is_file())
OWN = [name for name in FILES if name.endswith((".js", ".css", ".html"))]
NAMES = r"http://www\.w3\.org/(?:2000/svg|1999/xlink|1999/xhtml|1998/Math/MathML)"  # of XML, which nobody asks


def test_each_file_runs_under_a_strict_policy_and_is_what_it_says(api: httpx.Client) -> None:
    for path in ("/", "/web/app.js", "/web/style.css", "/web/vendor/preact.mjs", "/web/icon.svg"):
        answer = api.get(path)
        assert answer.status_code == 200
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert len(answer.headers.get_list("content-security-policy")) == 1


def test_scripts_and_styles_have_the_types_that_browsers_ask_for(api: httpx.Client) -> None:
    types = {"app.js": "text/javascript", "vendor/htm.mjs": "text/javascript", "style.css": "text/css"}
    for name, media_type in types.items():
        assert api.get(f"/web/{name}").headers["content-type"].startswith(media_type)


def test_a_file_that_is_known_is_not_sent_again(api: httpx.Client) -> None:
    for path in ("/", "/web/app.js"):
        first = api.get(path)
        assert first.headers["cache-control"] == "no-cache"
        again = api.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "content-security-policy" in again.headers


def test_nothing_outside_of_the_folder_is_served(api: httpx.Client, url: str) -> None:
    for path in ("/web/../api/app.py", "/web/%2e%2e/api/app.py", "/web/..%2fapi%2fapp.py", "/web//etc/passwd", "/web/"):
        request = api.build_request("GET", url)
        request.url = request.url.copy_with(raw_path=path.encode())  # as it is: clients tidy paths up
        answer = api.send(request)
        assert answer.status_code == 404, path
        assert b"import" not in answer.content


def test_no_other_origin_is_named_in_the_page() -> None:
    for name in (name for name in FILES if name.endswith((".js", ".mjs", ".css", ".html", ".svg"))):
        text = re.sub(NAMES, "", (WEB / name).read_text())
        assert not re.search(r"https?:|[\"'(]//", text), name


def test_no_script_or_style_stands_in_markup() -> None:
    for name in OWN:
        text = (WEB / name).read_text()
        assert not re.search(r"""\s(?:style|on[a-z]+)="|javascript:|<style|\binnerHTML\b|\beval\(""", text), name


def test_every_file_that_a_script_imports_is_there() -> None:
    for name in OWN:
        path = WEB / name
        for found in re.findall(r"""(?:from|import) ["'](\.[^"']+)["']""", path.read_text()):
            assert (path.parent / found).resolve().is_file(), f"{name} imports {found}"


def test_what_the_first_page_names_is_there(api: httpx.Client) -> None:
    named = re.findall(r'(?:href|src)="(/[^"]+)"', api.get("/").text)
    assert named
    assert {api.get(path).status_code for path in named} == {200}


def test_the_folder_holds_licences_of_what_is_not_ours() -> None:
    assert {Path(name).name for name in FILES if "LICENSE" in name} >= {"LICENSE.preact", "LICENSE.htm"}
