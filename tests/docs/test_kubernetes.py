"""The manifests for Kubernetes are accepted by the API, fit each other, and say the truth about Headway."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from tests.support.documents import blocks_of, text_of
from tests.support.paths import DOCS, ROOT
from web.server.health import router
from workers.setting_names import wrong_names
from workers.settings import Settings, load_settings

FOLDER = DOCS / "running" / "kubernetes"
SCALING = DOCS / "running" / "scaling.md"
FILES = sorted(FOLDER.glob("*.yml"))
Object = dict[str, Any]
VERSIONS = ("1.31", "1.37")
"""The oldest that has all of what they use, and the newest with a schema here."""


def objects() -> Iterator[Object]:
    for file in FILES:
        yield from yaml.safe_load_all(text_of(file))


ALL = list(objects())
CORE = [each for each in ALL if not each["apiVersion"].startswith("keda.sh/")]


def title(found: Object) -> str:
    return f"{found['kind']} {found['metadata'].get('namespace', '')}/{found['metadata']['name']}"


def named(kind: str, name: str) -> Object:
    (found,) = [each for each in ALL if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pod_of(found: Object) -> Object:
    pod: Object = found["spec"]["template"]["spec"]
    return pod


WITH_PODS = [each for each in ALL if "template" in each.get("spec", {})]
CONFIGS = [each["data"] for each in ALL if each["kind"] == "ConfigMap"]
"""Of the web server and scheduler, and of the workers."""
OTHERS = [each for each in WITH_PODS if each["metadata"]["namespace"] == "headway"]


def containers_of(found: Object) -> list[Object]:
    pod = pod_of(found)
    return [*pod.get("initContainers", ()), *pod["containers"]]


def test_there_are_manifests() -> None:
    assert {each["kind"] for each in ALL} >= {"Deployment", "StatefulSet", "Job", "Service", "ScaledObject"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("found", CORE, ids=title)
def test_the_api_accepts_them(found: Object, version: str) -> None:
    kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"replicaz": 2}},
        {"spec": {"replicas": "two"}},
        {"kind": "Deploymnt"},
    ],
)
def test_a_mistake_in_them_would_be_found(change: Object) -> None:
    wrong = {**named("Deployment", "headway-web"), **change}
    with pytest.raises((kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError)):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("found", [each for each in WITH_PODS if each["kind"] != "Job"], ids=title)
def test_selectors_match_their_pods(found: Object) -> None:
    assert found["spec"]["selector"]["matchLabels"] == found["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("found", [each for each in ALL if each["kind"] == "Service"], ids=title)
def test_services_lead_to_a_port_that_has_this_name(found: Object) -> None:
    (behind,) = [each for each in OTHERS if each["spec"]["template"]["metadata"]["labels"] == found["spec"]["selector"]]
    ports = {port["name"] for container in containers_of(behind) for port in container.get("ports", ())}
    assert {port["targetPort"] for port in found["spec"]["ports"]} <= ports


def test_policies_and_budgets_choose_pods_that_exist() -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in WITH_PODS]
    for found in ALL:
        chosen = found.get("spec", {}).get("podSelector") or found.get("spec", {}).get("selector")
        if found["kind"] in {"NetworkPolicy", "PodDisruptionBudget"}:
            assert chosen["matchLabels"] in labels, title(found)


@pytest.mark.parametrize("found", [each for each in ALL if each["kind"] == "ConfigMap"], ids=title)
def test_each_variable_is_a_setting_with_a_value_that_it_takes(
    found: Object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = dict(found["data"])
    assert wrong_names(given, Settings.model_fields) == []
    for name in ("POSTGRES", "REDIS"):
        setting = f"HEADWAY_{'DATABASE' if name == 'POSTGRES' else name}_PASSWORD_FILE"
        assert given[setting] == f"/run/headway/{name.lower()}"
        given[setting] = str(tmp_path / name)
        (tmp_path / name).write_text("word")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.database == "postgresql+psycopg://headway:word@postgres.headway.svc:5432/headway"
    assert settings.redis_url == "redis://:word@redis.headway.svc:6379/0"


def test_web_servers_and_workers_have_the_same_database_redis_and_bucket() -> None:
    web, workers = CONFIGS
    for name in ("BASE_URL", "BLOB_URL", "DATABASE_URL", "REDIS_URL", "SECRET_KEY_FILE"):
        assert web[f"HEADWAY_{name}"] == workers[f"HEADWAY_{name}"]


def test_addresses_lead_to_services_that_exist() -> None:
    hosts = {f"{each['metadata']['name']}.headway.svc" for each in ALL if each["kind"] == "Service"}
    addresses = {config[f"HEADWAY_{part}_URL"] for config in CONFIGS for part in ("DATABASE", "REDIS")}
    assert {urlsplit(address).hostname for address in addresses} <= hosts


def test_secrets_have_what_the_page_tells_to_put_into_them() -> None:
    made = "\n".join(block.text for block in blocks_of(SCALING) if "kubectl create secret" in block.text)
    keys = set(re.findall(r"--from-(?:file|literal)=([a-z]+)=", made))
    text = "\n".join(map(text_of, FILES))
    files = set(re.findall(r"/run/headway/([a-z]+)", text))
    env = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for found in WITH_PODS
        for container in containers_of(found)
        for variable in container.get("env", ())
        if "valueFrom" in variable
    }
    assert files | env == keys


@pytest.mark.parametrize("found", OTHERS, ids=title)
def test_only_workers_have_any_privilege(found: Object) -> None:
    """What Pod Security asks for at its strictest level."""
    pod = pod_of(found)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers_of(found):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
    assert not [volume for volume in pod.get("volumes", ()) if "hostPath" in volume]
    assert named("Namespace", "headway")["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.mark.parametrize("found", WITH_PODS, ids=title)
def test_no_pod_can_use_the_clusters_api_and_each_says_what_it_needs(found: Object) -> None:
    pod = pod_of(found)
    assert pod["automountServiceAccountToken"] is False
    # Kubernetes would set HEADWAY_PORT and others, which look like settings.
    assert pod["enableServiceLinks"] is False
    for container in containers_of(found):
        assert container["resources"]["requests"]["memory"]
        assert container["resources"]["limits"]["memory"]


def test_a_worker_and_its_engine_see_the_data_under_the_same_path() -> None:
    engine, worker = containers_of(named("Deployment", "headway-worker"))
    of_engine = {mount["name"]: mount["mountPath"] for mount in engine["volumeMounts"]}
    of_worker = {mount["name"]: mount["mountPath"] for mount in worker["volumeMounts"]}
    config = CONFIGS[1]
    assert of_engine["data"] == of_worker["data"] == config["HEADWAY_DATA_DIR"]
    assert of_engine["socket"] == of_worker["socket"]
    assert f"--host={config['HEADWAY_DOCKER_HOST']}" in engine["args"]
    assert engine["restartPolicy"] == "Always", "it runs beside the worker, and ends after it"
    assert "privileged" not in worker["securityContext"]


def test_a_worker_that_ends_has_time_for_its_jobs() -> None:
    found = named("Deployment", "headway-worker")
    config = CONFIGS[1]
    assert int(config["HEADWAY_SHUTDOWN_S"]) + 60 <= pod_of(found)["terminationGracePeriodSeconds"]
    assert found["spec"]["strategy"] == {"type": "Recreate"}, "docs/running/upgrade.md: workers are not mixed"


def test_probes_ask_what_there_is() -> None:
    (web,) = containers_of(named("Deployment", "headway-web"))
    paths = {getattr(route, "path", "") for route in router.routes}
    assert {web[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")} == paths
    # Without its database a web server must not be restarted again and again.
    assert web["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_images_are_those_of_compose() -> None:
    compose = yaml.safe_load(text_of(ROOT / "docker-compose.yml"))["services"]
    images = {container["image"] for found in WITH_PODS for container in containers_of(found)}
    assert images == {
        "registry.example.com/headway:1",
        "docker:28-dind",
        compose["postgres"]["image"],
        compose["redis"]["image"],
    }
    for part in ("web", "scheduler", "worker"):
        (container,) = pod_of(named("Deployment", f"headway-{part}"))["containers"]
        assert container["args"] == compose[part]["command"]
    assert containers_of(named("Job", "headway-migrate"))[0]["args"] == compose["migrate"]["command"]


def test_autoscaling_asks_for_metrics_that_there_are() -> None:
    scaled = named("ScaledObject", "headway-worker")
    (trigger,) = scaled["spec"]["triggers"]
    asked = set(re.findall(r"headway_\w+", trigger["metadata"]["query"]))
    listed = re.findall(r"^\| `(headway_\w+)` \|", text_of(DOCS / "running/monitoring.md"), re.MULTILINE)
    assert asked == {"headway_jobs_running", "headway_jobs_queued"} <= set(listed)
    config = CONFIGS[1]
    assert trigger["metadata"]["threshold"] == config["HEADWAY_WORKER_SLOTS"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == "headway-worker"
    assert scaled["metadata"]["namespace"] == named("Deployment", "headway-worker")["metadata"]["namespace"]
    web = named("HorizontalPodAutoscaler", "headway-web")["spec"]["scaleTargetRef"]
    assert (web["kind"], web["name"]) == ("Deployment", "headway-web")
