"""What must hold for a compose file, for manifests and for their agreement; each check gives its faults in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.settings import PREFIX, Settings
from tests.deploy.conftest import Document, Process
from tools import catalog
from workers.messages import VECTOR_QUEUE

PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*")
SECRET = re.compile(r"\$\{(\w*(?:PASSWORD|SECRET|ACCESS_KEY|ADMIN_KEY)\w*)([^}]*)\}")
PLAIN_SECRET = re.compile(r"(PASSWORD|PASS|SECRET_KEY|SECRET_ACCESS_KEY|ACCESS_KEY|ADMIN_KEY|AUTH)$")
ONE_SHOT = {"migrate"}
PUBLISHED = {"api"}
EXTRA = {"image-gpu", "flower"}  # where a machine has a card, or somebody asks for it: not everywhere
EVERYWHERE = {"planner": {"planner", VECTOR_QUEUE}, "solution": {"solution", "training"}}
# What one way of starting says and another does not need to: the model's address, a device, the admin key of the API.
OPTIONAL = {"ATELIER_LLM", "ATELIER_LLM_BASE_URL", "ATELIER_LLM_MODEL", "ATELIER_LLM_API_KEY", "ATELIER_DEVICE"}
OPTIONAL |= {"ATELIER_ADMIN_KEY", "ATELIER_METRICS_PORT"}


def used_queues() -> set[str]:
    """Give the queues that a tool or a part of the studio puts work into."""
    return {spec.queue for spec in catalog.specs().values()} | {queue for some in EVERYWHERE.values() for queue in some}


def of_services(document: Document) -> Iterator[str]:
    """Look at each service of a compose file."""
    for name, service in document["services"].items():
        yield from _of_image(name, service["image"])
        yield from _of_start(name, service)
        ports = service.get("ports", [])
        if ports and name not in PUBLISHED:
            yield f"{name}: publishes {ports}; only the API does"
        if any(not re.fullmatch(r"\$\{PUBLISHED:-127\.0\.0\.1:8484\}:8484", port) for port in ports):
            yield f"{name}: is published on more than loopback by default"
        if "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name}: may gain privileges"
        if "build" in service and not (service.get("read_only") and service.get("cap_drop") == ["ALL"]):
            yield f"{name}: may write to its image or keeps capabilities"
        yield from _of_secrets(name, service)
    if not document["networks"]["inside"].get("internal"):
        yield "the servers' network reaches the outside"


def _of_image(name: str, image: str) -> Iterator[str]:
    plain = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", image)
    if not PINNED.fullmatch(plain):
        yield f"{name}: the image {image!r} is not pinned"


def _of_start(name: str, service: Document) -> Iterator[str]:
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    if not {"cpus", "memory"} <= set(limits):
        yield f"{name}: has no limits"
    if name in ONE_SHOT:
        return
    if service.get("restart") != "unless-stopped":
        yield f"{name}: does not start again"
    if "test" not in service.get("healthcheck", {}):
        yield f"{name}: has no health check"
    drain_s = float(service.get("environment", {}).get("ATELIER_DRAIN_S", 0))
    if drain_s and int(service.get("stop_grace_period", "10s").removesuffix("s")) <= drain_s:
        yield f"{name}: is killed before it has drained"


def _of_secrets(name: str, service: Document) -> Iterator[str]:
    for key, value in service.get("environment", {}).items():
        for secret, rest in SECRET.findall(str(value)):
            if not rest.startswith(":?"):
                yield f"{name}: {secret} may be missing or has a default"
        if PLAIN_SECRET.search(key) and "${" not in str(value):
            yield f"{name}: {key} has a default"
    for words in (service.get("command", []), service.get("entrypoint", [])):
        if SECRET.search(str(words)):
            yield f"{name}: a secret is in its argument list"


def of_processes(processes: Iterable[Process]) -> Iterator[str]:
    """Look at the processes of one way to start the cluster: variables that are settings, queues that are served."""
    every = list(processes)
    for process in every:
        for variable in process.environment:
            if variable.startswith(PREFIX) and variable.removeprefix(PREFIX).lower() not in Settings.model_fields:
                yield f"{process.name}: {variable} is no setting"
        if process.words[0] not in {"api", "migrate", "worker"}:
            yield f"{process.name}: {' '.join(process.words)!r} is no command for a cluster"
        for queue in set(process.queues) - used_queues():
            yield f"{process.name}: nothing puts work into the queue {queue!r}"
    served = {queue for process in every if process.name not in EXTRA for queue in process.queues}
    for queue in sorted(used_queues() - served):
        yield f"no worker serves the queue {queue!r}"


def of_difference(one: dict[str, Process], other: dict[str, Process]) -> Iterator[str]:
    """Compare two ways to start the same cluster."""
    for name in sorted((set(one) ^ set(other)) - EXTRA):
        yield f"{name}: is in one of both alone"
    for name in sorted(set(one) & set(other)):
        if one[name].words != other[name].words:
            yield f"{name}: runs {' '.join(one[name].words)!r} here and {' '.join(other[name].words)!r} there"
        for variable in sorted((one[name].environment ^ other[name].environment) - OPTIONAL):
            yield f"{name}: {variable} is set in one of both alone"


def of_pods(documents: list[Document]) -> Iterator[str]:
    """Look at each pod of rendered manifests."""
    budgets = {str(one["spec"]["selector"]) for one in documents if one["kind"] == "PodDisruptionBudget"}
    for one in documents:
        if one["kind"] not in {"Deployment", "StatefulSet", "Job"}:
            continue
        name, pod = one["metadata"]["name"], one["spec"]["template"]["spec"]
        if pod.get("enableServiceLinks", True):
            yield f"{name}: variables of Services would read as settings"
        if pod.get("automountServiceAccountToken", True) or not pod["securityContext"].get("runAsNonRoot"):
            yield f"{name}: may do more than it needs"
        for container in pod["containers"]:
            yield from _of_container(name, container)
            if one["kind"] != "Job" and "readinessProbe" not in container:
                yield f"{name}: has no probe"
        if one["kind"] == "Deployment":
            yield from _of_begin(name, pod)
            yield from _of_end(name, pod)
            if str(one["spec"]["selector"]) not in budgets:
                yield f"{name}: all of it may be taken away at once"


def _of_container(name: str, container: dict[str, Any]) -> Iterator[str]:
    yield from _of_image(name, container["image"])
    if not {"cpu", "memory"} <= set(container.get("resources", {}).get("limits", {})):
        yield f"{name}: has no limits"
    context = container["securityContext"]
    if context.get("allowPrivilegeEscalation", True) or context.get("capabilities") != {"drop": ["ALL"]}:
        yield f"{name}: is not restricted"
    for entry in container.get("env", []):
        if PLAIN_SECRET.search(entry["name"]) and "value" in entry:
            yield f"{name}: {entry['name']} has a default"


def _of_begin(name: str, pod: dict[str, Any]) -> Iterator[str]:
    waiting = pod.get("initContainers", [])
    if [one["args"][:2] for one in waiting] != [["migrate", "--look"]]:
        yield f"{name}: begins before its schema is there"
    for one in waiting:
        yield from _of_container(name, one)
        if one["image"] != pod["containers"][0]["image"]:
            yield f"{name}: waits with another version than it runs"


def _of_end(name: str, pod: dict[str, Any]) -> Iterator[str]:
    grace_s = pod.get("terminationGracePeriodSeconds", 30)
    if pod["containers"][0]["args"][0] == "worker" and grace_s <= 60:
        yield f"{name}: is killed before it has drained"


def of_scaling(documents: list[Document], processes: dict[str, Process]) -> Iterator[str]:
    """Look at what KEDA counts."""
    secrets = {one["metadata"]["name"] for one in documents if one["kind"] == "TriggerAuthentication"}
    scaled = {}
    for one in (one for one in documents if one["kind"] == "ScaledObject"):
        name, spec = one["spec"]["scaleTargetRef"]["name"], one["spec"]
        [trigger] = spec["triggers"]
        counted = set(re.findall(r"'(\w+)'", trigger["metadata"]["query"].split("status")[0]))
        if trigger["type"] != "postgresql" or trigger["authenticationRef"]["name"] not in secrets:
            yield f"{name}: does not count steps in PostgreSQL"
        if (
            not 0 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
            or float(trigger["metadata"]["targetQueryValue"]) <= 0
        ):
            yield f"{name}: cannot be scaled"
        if name not in processes or counted != set(processes[name].queues) - {VECTOR_QUEUE}:
            yield f"{name}: counts {sorted(counted)}, which is not what it works on"
        scaled[name] = counted
    for process in processes.values():
        if process.queues and process.name not in scaled and process.name not in EXTRA:
            yield f"{process.name}: is not scaled"
