"""The same cluster told three times: the compose file, the Kubernetes manifests and the Procfile, read as one shape."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import kustomize

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
PROCESSES = ROOT / "deploy" / "processes"
Document = dict[str, Any]


@dataclass(frozen=True)
class Process:
    """A process of the studio, wherever it is started."""

    name: str
    words: tuple[str, ...]
    environment: frozenset[str]

    @property
    def queues(self) -> tuple[str, ...]:
        return tuple(self.words[self.words.index("--queues") + 1].split(",")) if "--queues" in self.words else ()


def of_compose(document: Document) -> dict[str, Process]:
    """Read the studio's processes out of a compose file: those whose image we build."""
    return {
        name: Process(name, tuple(map(str, service["command"])), frozenset(service["environment"]))
        for name, service in document["services"].items()
        if "build" in service
    }


def of_kubernetes(documents: list[Document]) -> dict[str, Process]:
    """Read the studio's processes out of rendered manifests."""
    shared = {one["metadata"]["name"]: set(one["data"]) for one in documents if one["kind"] == "ConfigMap"}
    found = {}
    for one in documents:
        if "atelier/process" not in one["metadata"].get("labels", {}):
            continue
        [container] = one["spec"]["template"]["spec"]["containers"]
        names = {entry["name"] for entry in container.get("env", [])}
        for source in container.get("envFrom", []):
            names |= shared[source["configMapRef"]["name"]]
        name = one["metadata"]["name"]
        found[name] = Process(name, tuple(container["args"]), frozenset(names))
    return found


def of_procfile(procfile: str, environment: str) -> dict[str, Process]:
    """Read the studio's processes out of a Procfile and the script that gives them their variables."""
    exported = re.findall(r"\b(?:ATELIER|AWS)_[A-Z0-9_]+(?=[= \n])", "\n".join(re.findall(r"export (.+)", environment)))
    found = {}
    for line in procfile.splitlines():
        name, _, command = line.partition(": ")
        words = shlex.split(command)
        if "atelier" in words:
            found[name] = Process(name, tuple(words[words.index("atelier") + 1 :]), frozenset(exported))
    return found


def compose() -> Document:
    document: Document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def rendered(overlay: str) -> list[Document]:
    """Render an overlay, with kustomize where kubectl is there."""
    if shutil.which("kubectl") is None:
        return kustomize.render(KUBERNETES / overlay)
    done = subprocess.run(["kubectl", "kustomize", KUBERNETES / overlay], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(scope="session")
def base() -> list[Document]:
    return rendered("base")


@pytest.fixture(scope="session")
def try_out() -> list[Document]:
    return rendered("try-out")
