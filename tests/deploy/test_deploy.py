"""The compose file, the manifests and the Procfile start the same cluster, and each check on them bites."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest
import yaml
from sqlalchemy import create_engine, text

from orchestrator import preparing
from tests.deploy import checks, kustomize
from tests.deploy.conftest import (
    KUBERNETES,
    PROCESSES,
    ROOT,
    Document,
    compose,
    of_compose,
    of_kubernetes,
    of_procfile,
    rendered,
)

PROCFILE = (PROCESSES / "Procfile").read_text()
ENVIRONMENT = (PROCESSES / "environment").read_text()
Change = Callable[[Any], Any]


def processes(procfile: str = PROCFILE, environment: str = ENVIRONMENT) -> dict[str, Any]:
    """Read the Procfile's processes; its one-shot is a script, whose command stands in it."""
    found = of_procfile(procfile, environment)
    [line] = re.findall(r"(?m)^(atelier migrate .+)$", (PROCESSES / "migrate").read_text())
    return found | of_procfile(f"migrate: {line}", environment)


def test_the_compose_file_holds() -> None:
    assert list(checks.of_services(compose())) == []
    assert list(checks.of_processes(of_compose(compose()).values())) == []


def test_the_manifests_hold(base: list[Document], try_out: list[Document]) -> None:
    for documents in (base, try_out):
        assert list(checks.of_pods(documents)) == []
        assert list(checks.of_processes(of_kubernetes(documents).values())) == []
        assert list(checks.of_scaling(documents, of_kubernetes(documents))) == []


def test_the_procfile_holds() -> None:
    assert list(checks.of_processes(processes().values())) == []


def test_all_three_start_the_same(base: list[Document]) -> None:
    assert list(checks.of_difference(of_compose(compose()), of_kubernetes(base))) == []
    assert list(checks.of_difference(of_compose(compose()), processes())) == []


@pytest.mark.parametrize("overlay", ["base", "gpu", "ingress", "try-out"])
def test_kubernetes_would_take_the_manifests(overlay: str) -> None:
    for document in rendered(overlay):
        if not document["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(document, "1.37", strict=True)


@pytest.mark.parametrize("overlay", ["base", "gpu", "ingress", "try-out"])
def test_without_kubectl_the_manifests_are_read_the_same(overlay: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl to compare with")

    def by_name(documents: list[Document]) -> dict[str, Document]:
        return {f"{one['kind']}/{one['metadata']['name']}": one for one in documents}

    assert by_name(kustomize.render(KUBERNETES / overlay)) == by_name(rendered(overlay))


def test_every_secret_that_is_asked_for_is_drawn(base: list[Document], try_out: list[Document]) -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert asked <= drawn(preparing.environment("rabbitmq"))
    asked = set(re.findall(r"\$\{(\w+):\?run atelier env", ENVIRONMENT))
    assert asked <= drawn(preparing.environment("valkey"))
    told = yaml.safe_dump_all([*base, *try_out], width=10_000)
    asked = set(re.findall(r"secretKeyRef:\s+key: (\w+)", told)) | set(
        re.findall(r"- key: (\w+)\s+name: atelier\s+param", told)
    )
    assert {"ATELIER_DATABASE_URL", "KEDA_DATABASE_URL", "RABBITMQ_PASSWORD"} <= asked
    assert asked <= drawn(preparing.environment("rabbitmq", kubernetes=True))


def drawn(text: str) -> set[str]:
    """Give the names that `atelier env` writes."""
    return set(re.findall(r"(?m)^(\w+)=.+$", text))


def test_the_servers_of_the_try_out_are_those_of_compose(try_out: list[Document]) -> None:
    services = compose()["services"]
    sets = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]
        for one in try_out
        if one["kind"] == "StatefulSet"
    }
    assert set(sets) == {"postgres", "rabbitmq", "s3", "chroma"}
    for name, container in sets.items():
        assert container["image"] == services[name]["image"]
        assert container.get("args", []) == (services[name]["command"] if name == "s3" else [])
    [config] = [one["data"] for one in try_out if one["kind"] == "ConfigMap"]
    for variable in set(config) & set(services["planner"]["environment"]):
        if not variable.startswith("ATELIER_LLM"):
            assert config[variable] == services["planner"]["environment"][variable]
    ports = {one["metadata"]["name"]: one["spec"]["ports"][0]["port"] for one in try_out if one["kind"] == "Service"}
    assert config["AWS_ENDPOINT_URL"] == f"http://s3:{ports['s3']}"
    assert config["ATELIER_CHROMA_PORT"] == str(ports["chroma"])
    assert config["ATELIER_PORT"] == str(ports["api"])


def test_the_chroma_server_is_as_old_as_its_client() -> None:
    [pinned] = re.findall(r"(?m)^chromadb==(.+)$", (ROOT / "constraints.txt").read_text())
    assert compose()["services"]["chroma"]["image"] == f"chromadb/chroma:{pinned}"


def test_what_keda_counts_is_sql(base: list[Document], postgresql_url: str) -> None:
    server = create_engine(postgresql_url)
    queries = [one["spec"]["triggers"][0]["metadata"]["query"] for one in base if one["kind"] == "ScaledObject"]
    with server.connect() as connection:
        assert [connection.execute(text(query)).scalar() for query in queries] == [0, 0, 0]
    server.dispose()


def service(name: str, **fields: Any) -> Change:
    """Change fields of a compose service; None takes a field away."""

    def change(document: Document) -> None:
        for field, value in fields.items():
            if value is None:
                document["services"][name].pop(field)
            else:
                document["services"][name][field] = value

    return change


def variable(name: str, key: str, value: str | None) -> Change:
    """Change a variable of a compose service."""

    def change(document: Document) -> None:
        given = document["services"][name]["environment"] = dict(document["services"][name]["environment"])
        given.pop(key, None)
        if value is not None:
            given[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (service("postgres", image="postgres:latest"), "not pinned"),
        (service("planner", image="atelier"), "not pinned"),
        (service("s3", ports=["9000:7070"]), "only the API"),
        (service("api", ports=["8484:8484"]), "more than loopback"),
        (service("chroma", healthcheck=None), "no health check"),
        (service("image", restart=None), "does not start again"),
        (service("rabbitmq", deploy=None), "no limits"),
        (service("image", read_only=None), "may write"),
        (service("s3", security_opt=None), "privileges"),
        (service("solution", stop_grace_period="10s"), "before it has drained"),
        (variable("postgres", "POSTGRES_PASSWORD", "postgres"), "has a default"),
        (variable("postgres", "POSTGRES_PASSWORD", "${POSTGRES_PASSWORD:-postgres}"), "has a default"),
        (variable("api", "ATELIER_ADMIN_KEY", "${ATELIER_ADMIN_KEY}"), "may be missing"),
        (service("valkey", command=["valkey-server", "--requirepass", "${VALKEY_PASSWORD}"]), "argument list"),
        (lambda document: document["networks"]["inside"].pop("internal"), "reaches the outside"),
        (variable("image", "ATELIER_BROKER", "amqp://"), "is no setting"),
        (service("image", command=["worker", "--queues", "pictures"]), "no worker serves the queue 'image'"),
        (service("image", command=["worker", "--queues", "image,pictures"]), "nothing puts work into"),
        (service("image", command=["serve"]), "is no command"),
        (service("api", command=["api", "--port", "9000"]), "here and"),
        (variable("planner", "ATELIER_BROKER_URL", None), "one of both alone"),
        (lambda document: document["services"].pop("solution"), "one of both alone"),
    ],
)  # fmt: skip
def test_a_worse_compose_file_is_found_out(change: Change, word: str, base: list[Document]) -> None:
    document = copy.deepcopy(compose())
    change(document)
    found = of_compose(document)
    faults = [*checks.of_services(document), *checks.of_processes(found.values())]
    faults += checks.of_difference(found, of_kubernetes(base))
    assert any(word in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("enableServiceLinks: false", "enableServiceLinks: true", "variables of Services"),
        ("runAsNonRoot: true", "runAsNonRoot: false", "more than it needs"),
        ("image: atelier:0.1.0", "image: atelier:latest", "not pinned"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "not restricted"),
        ("terminationGracePeriodSeconds: 90", "terminationGracePeriodSeconds: 30", "before it has drained"),
        ("kind: PodDisruptionBudget", "kind: Nothing", "taken away at once"),
        ("readinessProbe:", "noProbe:", "no probe"),
        ("initContainers:", "others:", "before its schema is there"),
        ("- solution,training", "- solution", "no worker serves the queue 'training'"),
        ("queue IN ('image')", "queue IN ('planner')", "not what it works on"),
        ("targetQueryValue: \"8\"", "targetQueryValue: \"0\"", "cannot be scaled"),
        ("kind: TriggerAuthentication", "kind: Nothing", "does not count steps"),
        ("ATELIER_CHROMA_PORT", "ATELIER_CHROMA", "is no setting"),
        ("ATELIER_CHROMA_HOST: ", "HOST: ", "one of both alone"),
        ("name: planner", "name: thinker", "one of both alone"),
    ],
)  # fmt: skip
def test_worse_manifests_are_found_out(before: str, after: str, word: str, base: list[Document]) -> None:
    told = yaml.safe_dump_all(base, width=10_000).replace("'8'", '"8"')
    assert before in told
    documents = list(yaml.safe_load_all(told.replace(before, after)))
    found = of_kubernetes(documents)
    faults = [*checks.of_pods(documents), *checks.of_processes(found.values()), *checks.of_scaling(documents, found)]
    faults += checks.of_difference(of_compose(compose()), found)
    assert any(word in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("--queues image --name image", "--queues images --name image", "no worker serves the queue 'image'"),
        ("atelier api", "atelier up", "is no command"),
        ("--name planner", "--name thinker", "here and"),
        ("ATELIER_BLOBS_URL", "ATELIER_BLOBS", "is no setting"),
        ("export AWS_DEFAULT_REGION=us-east-1", "", "one of both alone"),
    ],
)
def test_a_worse_procfile_is_found_out(before: str, after: str, word: str) -> None:
    assert before in PROCFILE + ENVIRONMENT
    found = processes(PROCFILE.replace(before, after), ENVIRONMENT.replace(before, after))
    faults = [*checks.of_processes(found.values()), *checks.of_difference(of_compose(compose()), found)]
    assert any(word in fault for fault in faults), faults


def test_every_file_of_an_overlay_is_used() -> None:
    for folder in KUBERNETES.iterdir():
        named = (folder / "kustomization.yaml").read_text()
        files = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert {file for file in files if file not in named} == set()
