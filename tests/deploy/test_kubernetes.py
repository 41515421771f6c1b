"""The manifests and the chart: right by Kubernetes, by Helm, and by what the service needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tenantpool import Settings, __version__
from tests.deploy.charts import CHART, render
from tests.deploy.files import DEPLOY, KUBERNETES, ROOT, UID, documents, manifests, settings

OLDEST = documents(CHART / "Chart.yaml")[0]["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
LATEST = kubernetes_validate.latest_version()
MANIFESTS = list(manifests())
PODS = [(p, m) for p, m in MANIFESTS if "template" in m.get("spec", {})]
SERVING = [(p, m) for p, m in PODS if m["metadata"]["name"] != "worker"]

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
OPEN = {"unencrypted": "anybody on the way may read the tokens and the data"}

each = pytest.mark.parametrize


def by_name(value: Any) -> str:
    """The id of a manifest: its file."""
    return getattr(value, "name", "")


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def config_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The service's configuration in the ConfigMap of *objects*."""
    (text,) = (m["data"]["tenantpool.yaml"] for m in objects if m["kind"] == "ConfigMap")
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def rendered(values: dict[str, Any] | None = None, name: str = "tenantpool") -> dict[str, Any]:
    """What the chart makes of *values*, by kind; every object fits its schema."""
    answer = render(values, name)
    assert "error" not in answer, answer["error"]
    texts = [text for path, text in answer["manifests"].items() if path.endswith(".yaml")]
    objects = [document for text in texts for document in yaml.safe_load_all(text) if document]
    for found in objects:
        validate(found, LATEST)
    return {found["kind"]: found for found in objects}


def validate(manifest: dict[str, Any], version: str) -> None:
    if manifest["apiVersion"] != "monitoring.coreos.com/v1":  # its schema is in no package
        kubernetes_validate.validate(manifest, version, strict=True)


@each("version", [OLDEST, LATEST])
@each(("path", "manifest"), MANIFESTS, ids=by_name)
def test_a_manifest_fits_its_schema(path: Path, manifest: dict[str, Any], version: str) -> None:
    validate(manifest, version)


def test_the_manifests_are_what_the_chart_makes() -> None:
    command = [sys.executable, "tools/generate_manifests.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_kustomize_takes_all_manifests_that_need_nothing_else() -> None:
    (listed,) = documents(KUBERNETES / "kustomization.yaml")
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed["resources"]) == files - {"secret.example.yaml", "servicemonitor.yaml"}


@each(("path", "manifest"), SERVING, ids=by_name)
def test_the_configuration_beside_a_pod_is_valid(path: Path, manifest: dict[str, Any]) -> None:
    folder = [m for p, m in MANIFESTS if p == path or p == path.with_name("configmap.yaml")]
    config = settings(config_of(folder), tls=path)
    assert config.service.folder is not None
    assert config.service.folder.startswith("/run/tenantpool")


@each(("path", "manifest"), SERVING, ids=by_name)
def test_a_pod_may_drain_before_it_is_killed(path: Path, manifest: dict[str, Any]) -> None:
    pod = manifest["spec"]["template"]["spec"]
    folder = [m for p, m in MANIFESTS if p == path or p == path.with_name("configmap.yaml")]
    grace = settings(config_of(folder), tls=path).service.drain_grace
    hooks = [
        c["lifecycle"]["preStop"]["sleep"]["seconds"] for c in containers(pod) if "lifecycle" in c
    ]
    assert pod["terminationGracePeriodSeconds"] >= sum(hooks) + grace + 10


@each(("path", "manifest"), PODS, ids=by_name)
def test_a_pod_may_do_no_more_than_it_has_to(path: Path, manifest: dict[str, Any]) -> None:
    pod = manifest["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(pod):
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["capabilities"]["drop"] == ["ALL"]
        if container["name"] != "folder":  # makes the host's folder the service's, and ends
            assert not rights.keys() & {"runAsUser", "runAsNonRoot"}
            assert "add" not in rights["capabilities"]


@each(("path", "manifest"), PODS, ids=by_name)
def test_mounts_are_volumes_of_the_pod_beside_each_other(
    path: Path, manifest: dict[str, Any]
) -> None:
    pod = manifest["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in containers(pod):
        places = [Path(mount["mountPath"]) for mount in container["volumeMounts"]]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        # Nothing can be mounted inside of what is read-only.
        assert not any(place in other.parents for place in places for other in places)
        # A single file does not change with its ConfigMap.
        assert not any("subPath" in mount for mount in container["volumeMounts"])


@each(("path", "manifest"), SERVING, ids=by_name)
def test_a_service_is_run_as_the_user_of_the_image(path: Path, manifest: dict[str, Any]) -> None:
    rights = manifest["spec"]["template"]["spec"]["securityContext"]
    assert rights["runAsUser"] == rights["runAsGroup"] == rights["fsGroup"] == UID
    for container in containers(manifest["spec"]["template"]["spec"]):
        if container["name"] == "tenantpool":
            assert container["image"] == f"tenantpool:{__version__}"


def test_there_is_one_pod_at_a_time_for_a_mark() -> None:
    spec = rendered()["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    (daemons,) = (m for _, m in PODS if m["kind"] == "DaemonSet")
    assert daemons["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0


def test_probes_and_services_name_ports_of_the_pod() -> None:
    objects = rendered()
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in objects["Service"]["spec"]["ports"]} == ports
    assert container["livenessProbe"]["httpGet"]["port"] in ports
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for rule in objects["NetworkPolicy"]["spec"]["ingress"]:
        assert {port["port"] for port in rule["ports"]} <= ports


def test_the_secrets_are_read_as_the_kubelet_mounts_them(tmp_path: Path) -> None:
    (secret,) = documents(KUBERNETES / "secret.example.yaml")
    versions = tmp_path / "..2026_01_01_00_00_00.1"
    versions.mkdir()
    (tmp_path / "..data").symlink_to(versions.name)
    for name, text in secret["stringData"].items():
        (versions / name).write_text(text)
        (tmp_path / name).symlink_to(f"..data/{name}")
    config = tmp_path / "..tenantpool.yaml"
    values = config_of([m for p, m in MANIFESTS if p.name == "configmap.yaml"])
    values["service"]["tls"] = {"certificate": str(config), "key": str(config)}
    config.write_text(yaml.safe_dump(values))
    loaded = Settings.load(config, secrets_dir=tmp_path, environ={})
    worker = loaded.service.identities["worker"]
    assert list(worker.all_tokens()) == [secret["stringData"]["service__identities__worker__token"]]


# -- the chart ---------------------------------------------------------------------------------


def test_helm_has_nothing_to_say_about_the_chart() -> None:
    answer = render()
    assert answer["lint"]["errors"] == []
    assert [m["error"] for m in answer["lint"]["messages"]] == ["icon is recommended"]


def test_the_chart_is_of_this_version() -> None:
    (chart,) = documents(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == __version__


def test_a_release_has_its_own_name_for_its_connections() -> None:
    release = rendered(name="eu.billing-database-with-a-long-name")
    config = settings(config_of(list(release.values())), tls=CHART / "Chart.yaml")
    assert config.service.name == "eu-billing-database-with-a-lon"
    named = rendered({"config": {"service": {"name": "billing"}}})
    assert config_of(list(named.values()))["service"]["name"] == "billing"


def test_a_service_without_tls_has_to_say_what_that_means() -> None:
    assert "unencrypted" in render({"tls": {"secretName": ""}})["error"]
    values = {"tls": {"secretName": ""}, "config": {"service": OPEN}, "probes": "grpc"}
    objects = rendered(values | {"serviceMonitor": {"enabled": True}})
    settings(config_of(list(objects.values())))
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["grpc"] == {"port": 7432}
    (endpoint,) = objects["ServiceMonitor"]["spec"]["endpoints"]
    assert (endpoint["scheme"], "tlsConfig" in endpoint) == ("http", False)


def test_the_kubelet_cannot_ask_over_grpc_with_tls() -> None:
    assert "the kubelet" in render({"probes": "grpc"})["error"]


def test_the_kubelet_has_no_certificate_to_show() -> None:
    tls = {"clientCA": True}
    assert "the kubelet" in render({"tls": tls})["error"]
    pod = rendered({"tls": tls, "probes": "exec"})["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command = container["livenessProbe"]["exec"]["command"]
    assert f"COPY deploy/docker/health.py {command[-1]}\n" in DOCKERFILE.read_text()


def test_grace_and_ports_follow_the_configuration() -> None:
    service = {"drain_grace": 60, "grpc_port": 17432, "http_port": 19432}
    objects = rendered({"config": {"service": service}, "preStopSeconds": 5})
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 5 + 60 + 15
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert ports == {"grpc": 17432, "postgres": 6432, "http": 19432}
    assert {port["port"] for port in objects["Service"]["spec"]["ports"]} == set(ports.values())


def test_every_value_can_be_set() -> None:
    objects = rendered(
        {
            "imagePullSecrets": [{"name": "registry"}],
            "stateClaim": "claim",
            "tls": {"clientCA": True},
            "probes": "exec",
            "priorityClassName": "high",
            "nodeSelector": {"pool": "databases"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "networkPolicy": {"workerNamespaces": {"team": "a"}, "databaseCIDRs": ["10.0.0.0/8"]},
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        }
    )
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    claims = [
        v["persistentVolumeClaim"]["claimName"]
        for v in pod["volumes"]
        if "persistentVolumeClaim" in v
    ]
    assert claims == ["claim"]
    assert pod["tolerations"][0]["key"] == "dedicated"
    assert config_of(list(objects.values()))["service"]["tls"]["client_ca"].endswith("/ca.crt")
    (source, _) = objects["NetworkPolicy"]["spec"]["ingress"]
    assert source["from"][0]["namespaceSelector"] == {"matchLabels": {"team": "a"}}
    assert objects["ServiceMonitor"]["metadata"]["labels"]["release"] == "prometheus"


@each("values", [{"replicas": 3}, {"probes": "none"}, {"networkPolicy": {"enable": False}}])
def test_a_value_that_the_chart_does_not_know_is_refused(values: dict[str, Any]) -> None:
    assert "error" in render(values)
