"""The container files, which CI cannot run: what can be checked without a container runtime."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.support.running import CHECKOUT

FOLDER = CHECKOUT / "containers"
#: Fields of `RayJobSpec`, `RayClusterSpec` and the groups in KubeRay's ray.io/v1 (1.4 to 1.8).
JOB = {
    "activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata", "clusterSelector",
    "submitterConfig", "managedBy", "deletionStrategy", "entrypoint", "runtimeEnvYAML", "jobId", "submissionMode",
    "entrypointResources", "entrypointNumCpus", "entrypointNumGpus", "ttlSecondsAfterFinished",
    "shutdownAfterJobFinishes", "suspend", "preRunningDeadlineSeconds",
}  # fmt: skip
CLUSTER = {
    "suspend", "managedBy", "autoscalerOptions", "headServiceAnnotations", "enableInTreeAutoscaling", "authOptions",
    "gcsFaultToleranceOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs", "upgradeStrategy",
}  # fmt: skip
HEAD = {"template", "headService", "enableIngress", "resources", "labels", "rayStartParams", "serviceType"}
WORKERS = {
    "suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds", "resources", "labels",
    "rayStartParams", "template", "scaleStrategy", "numOfHosts",
}  # fmt: skip


@pytest.fixture
def job() -> dict[str, Any]:
    document = yaml.safe_load((FOLDER / "rayjob.yaml").read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def test_the_manifest_has_only_fields_that_kuberay_knows(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert job["spec"].keys() <= JOB
    assert cluster.keys() <= CLUSTER
    assert cluster["headGroupSpec"].keys() <= HEAD
    assert all(group.keys() <= WORKERS for group in cluster["workerGroupSpecs"])


@pytest.mark.parametrize("file", ["containers/rayjob.yaml", "examples/kubernetes.yaml"])
def test_a_cluster_has_what_kuberay_requires(file: str) -> None:
    documents = list(yaml.safe_load_all((CHECKOUT / file).read_text("utf-8")))
    specs = [one["spec"].get("rayClusterSpec", one["spec"]) for one in documents if one["apiVersion"] == "ray.io/v1"]
    assert len(specs) == 1
    for spec in specs:
        assert spec.keys() <= CLUSTER
        assert spec["headGroupSpec"].keys() >= {"template"}
        for group in spec["workerGroupSpecs"]:
            assert WORKERS >= group.keys() >= {"groupName", "minReplicas", "maxReplicas", "template"}
            assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_pods_are_not_root_and_have_the_token_from_a_secret(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        tokens = [one for one in container["env"] if one["name"] == "RAY_AUTH_TOKEN"]
        assert tokens[0]["valueFrom"]["secretKeyRef"]["name"] == "ray-token"
        assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_image_is_slim_and_its_user_is_not_root() -> None:
    text = (FOLDER / "Containerfile").read_text("utf-8")
    assert re.findall(r"^FROM \S*(python:3\.12-slim)", text, re.MULTILINE) == ["python:3.12-slim"] * 2
    assert "\nUSER 1000:1000\n" in text
    assert text.index("USER 1000") > text.index("useradd")
    assert 'ENTRYPOINT ["ray-downloader"]' in text
    definition = (FOLDER / "ray_downloader.def").read_text("utf-8")
    assert "Bootstrap: docker\nFrom: python:3.12-slim" in definition
    assert "%runscript" in definition
