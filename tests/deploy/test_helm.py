"""The chart renders what a cluster takes, for each profile; asked of helm itself, where it is installed."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from server.config.load import load
from tests.harness.running import ROOT

CHART = ROOT / "deploy" / "helm" / "penstock"
PROFILES = sorted(path.stem for path in (CHART / "profiles").glob("*.yaml"))
KUBERNETES = "1.31.0"
HELM = shutil.which("helm") or shutil.which("helm", path=f"{Path.home()}/go/bin")

needs_helm = pytest.mark.skipif(
    HELM is None,
    reason="no helm here (with Go: go install helm.sh/helm/v3/cmd/helm@v3.18.6): the chart is not rendered",
)


# The least that has to be set: the chart's own values declare no stream.
STREAM = ("--set", "streams.streams.hello.schema_title=hello")


def helm(*arguments: str | Path) -> str:
    done = asked(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environ = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return subprocess.run([str(HELM), *map(str, arguments)], capture_output=True, text=True, timeout=60, env=environ)


def rendered(name: str, *more: str | Path) -> dict[str, dict[str, Any]]:
    """What would be applied: by kind, the headless service as ``Pods``."""
    text = helm("template", name, CHART, "--kube-version", KUBERNETES, *more)
    found = [one for one in yaml.safe_load_all(text) if one]
    return {
        "Pods" if one["kind"] == "Service" and one["metadata"]["name"].endswith("-pods") else one["kind"]: one
        for one in found
    }


def writer() -> ModuleType:
    path = str(ROOT / "deploy" / "helm" / "profiles")
    loader = importlib.machinery.SourceFileLoader("profiles", path)
    spec = importlib.util.spec_from_loader("profiles", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_profiles_are_those_of_deploy_config() -> None:
    writes = writer()

    assert set(PROFILES) == set(writes.BESIDE)
    for name in PROFILES:
        assert (CHART / "profiles" / f"{name}.yaml").read_text() == writes.render(name), "run deploy/helm/profiles"


def test_a_claim_holds_the_spool_with_what_it_needs_beside() -> None:
    for name in PROFILES:
        values = yaml.safe_load((CHART / "profiles" / f"{name}.yaml").read_text())
        most = load(ROOT / "deploy" / "config" / f"{name}.yaml", [], {}).config.spool.max_bytes

        assert int(values["spool"]["size"].removesuffix("Gi")) << 30 >= most * 1.2 + (64 << 20)


@needs_helm
def test_lint_finds_nothing() -> None:
    for name in PROFILES:
        said = helm("lint", "--strict", CHART, "-f", CHART / "profiles" / f"{name}.yaml", "--kube-version", KUBERNETES)
        assert "1 chart(s) linted, 0 chart(s) failed" in said
        assert "[WARNING]" not in said and "[ERROR]" not in said


@needs_helm
@pytest.mark.parametrize("name", PROFILES)
def test_the_settings_of_a_release_can_be_used(name: str, tmp_path: Path) -> None:
    """The file, under the variables that the chart sets above it."""
    found = rendered(name, "-f", CHART / "profiles" / f"{name}.yaml")
    (container,) = found["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    environ = {one["name"]: one["value"] for one in container["env"]}
    file = tmp_path / "settings.yaml"
    file.write_text(found["ConfigMap"]["data"]["settings.yaml"])
    config = load(file, [], environ).config
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}

    assert config.service_name == name
    assert config.http.listen == [f":{ports['http']}"] and config.admin.listen == f":{ports['admin']}"
    (volume,) = [one for one in container["volumeMounts"] if one["name"] == "spool"]
    kept = (config.spool.path, config.fetch.path, config.schemas.prepared_path)
    for path in (*kept, config.canary.path, config.plausibility.path):
        assert path.startswith(volume["mountPath"] + "/"), "the root is read-only"


@needs_helm
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((), "names streams.yaml, and `streams` is empty, so no event could be accepted"),
        (("--set", "settings.streams.sources={a.yaml}"), 'settings.streams.sources: "a.yaml": the chart writes'),
        ((*STREAM, "--set", "settings.schemas.base_uris={schemas}"), 'settings.schemas.base_uris: "schemas": next to'),
        ((*STREAM, "--set", "settings.schemas.base_uris=null"), "settings.schemas.base_uris is empty"),
        ((*STREAM, "--set", "settings.sink.kafka=null"), "settings.sink.kafka names no brokers"),
    ],
)
def test_values_with_which_no_pod_could_start_are_refused(values: tuple[str, ...], reason: str) -> None:
    """`penstock check` would refuse the settings, in a pod that restarts for ever."""
    done = asked("template", "x", CHART, "--kube-version", KUBERNETES, *values)

    assert done.returncode != 0
    assert reason in done.stderr


@needs_helm
def test_a_stop_goes_in_order_and_has_time_for_all_of_it() -> None:
    found = rendered("x", *STREAM)
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ((_, sleep),) = [container["lifecycle"]["preStop"]["exec"]["command"]]
    drain = next(one["value"] for one in container["env"] if one["name"] == "PENSTOCK_DRAIN_S")

    assert pod["terminationGracePeriodSeconds"] > int(sleep) + int(drain)
    assert found["StatefulSet"]["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Retain"


@needs_helm
def test_a_pod_has_no_rights() -> None:
    pod = rendered("x", *STREAM)["StatefulSet"]["spec"]["template"]["spec"]
    security = pod["containers"][0]["securityContext"]

    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}


@needs_helm
def test_secrets_come_from_secrets() -> None:
    found = rendered("x", *STREAM, "--set", "secrets.files=keys,secrets.environment=passwords")
    pod = found["StatefulSet"]["spec"]["template"]["spec"]

    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "passwords"}}]
    assert {"secretName": "keys", "defaultMode": 0o440} in [one.get("secret") for one in pod["volumes"]]


@needs_helm
def test_only_monitoring_reaches_the_admin_port() -> None:
    rules = rendered("x", *STREAM)["NetworkPolicy"]["spec"]["ingress"]
    by_port = {rule["ports"][0]["port"]: rule for rule in rules}

    assert "from" not in by_port["http"]
    assert by_port["admin"]["from"]
    assert [one["name"] for one in rendered("x", *STREAM)["Service"]["spec"]["ports"]] == ["http"]


@needs_helm
def test_it_scales_on_cpu_and_where_asked_on_loop_lag() -> None:
    plain, lag = rendered("x", *STREAM), rendered("x", *STREAM, "--set", "autoscaling.loopLag.enabled=true")
    names = [one.get("pods", {}).get("metric", {}).get("name") for one in _metrics(lag)]

    assert [one["type"] for one in _metrics(plain)] == ["Resource"]
    assert names == [None, "penstock_worker_loop_lag_seconds"]
    assert "replicas" not in plain["StatefulSet"]["spec"], "it would undo the autoscaler at every upgrade"
    assert plain["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def _metrics(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    metrics: list[dict[str, Any]] = found["HorizontalPodAutoscaler"]["spec"]["metrics"]
    return metrics


@needs_helm
def test_event_streams_are_pods_of_their_own_and_only_where_asked(tmp_path: Path) -> None:
    found = of_event_streams("--set", "eventstreams.ingress.enabled=true,eventstreams.ingress.hosts[0].host=a.example")
    pod = found["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    environ = {one["name"]: one["value"] for one in container["env"]}
    file = tmp_path / "settings.yaml"
    file.write_text(rendered("x", *STREAM)["ConfigMap"]["data"]["settings.yaml"])
    own = load(file, [], environ).config.eventstreams
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    ours, theirs = found["Service"]["spec"]["selector"], rendered("x", *STREAM)["Service"]["spec"]["selector"]

    assert own.listen == [f":{ports['http']}"] and own.admin_listen == f":{ports['admin']}"
    assert pod["spec"]["terminationGracePeriodSeconds"] > own.drain_s
    assert ours.items() <= pod["metadata"]["labels"].items()
    assert not theirs.items() <= pod["metadata"]["labels"].items(), "the intake's service would send it events"
    assert set(found) == {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "Ingress"}
    assert container["securityContext"]["readOnlyRootFilesystem"] and pod["spec"]["securityContext"]["runAsNonRoot"]
    assert float(found["Ingress"]["metadata"]["annotations"][READ_TIMEOUT]) > own.max_age_s
    assert "Deployment" not in rendered("x", *STREAM)


READ_TIMEOUT = "nginx.ingress.kubernetes.io/proxy-read-timeout"


def of_event_streams(*more: str) -> dict[str, dict[str, Any]]:
    """What is applied of EventStreams, by kind."""
    text = helm(
        "template", "x", CHART, "--kube-version", KUBERNETES, *STREAM, "--set", "eventstreams.enabled=true", *more
    )
    found = [one for one in yaml.safe_load_all(text) if one]
    return {one["kind"]: one for one in found if one["metadata"]["name"].endswith("-eventstreams")}
