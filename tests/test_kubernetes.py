"""deploy/kubernetes: built by kustomize, held to the published schemas and to this program, and run as processes."""

from __future__ import annotations

import copy
import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from prefetch.arguments import parse
from prefetch.commands.choice import choose
from prefetch.commands.table import COMMANDS
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from prefetch.loading import load_settings
from prefetch.settings import PREFIX, Settings, variable_of
from tests.support.cluster import ORIGIN, Cluster, Pod, cluster, config_map, terminate
from tests.support.commands import Commands, is_ours
from tests.support.kubernetes import DEPLOY, Built, Document, build
from tests.support.models import BLOCK, Wanted, assert_whole, journals, repo_of, sent_bytes, wanted
from tests.support.moosefs import MooseFS
from tests.support.runs import until

pytestmark = pytest.mark.needs("kubectl")

ENTRYPOINTS = {"prefetch": (), "comfyui-slim": ("hook", "--")}
"""What each image puts before a container's arguments, behind ``prefetch``."""
ROOTS = sorted(path.parent.relative_to(DEPLOY).as_posix() for path in DEPLOY.glob("*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in DEPLOY.glob("components/*/kustomization.yaml"))
TO_APPLY = [root for root in ROOTS if root not in {"volume", "comfyui"}]
VERSIONS = ("1.29", "1.37")
"""The first Kubernetes whose pods have sidecars without a feature gate, and the newest with a published schema."""


@pytest.fixture(scope="module", params=TO_APPLY)
def plain(request: pytest.FixtureRequest) -> Built:
    return build(DEPLOY / request.param)


@pytest.fixture(scope="module", params=TO_APPLY)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same with every component that goes with it."""
    return everything(tmp_path_factory.mktemp("full"), request.param)


def everything(folder: Path, root: str) -> Built:
    """A kustomization of a user's, beside a copy of ours: kustomize takes relative paths only."""
    (folder / "kubernetes").symlink_to(DEPLOY)
    components = [name for name in COMPONENTS if name != "monitoring" or root == "sidecar"]
    document = {
        "resources": [f"kubernetes/{root}"],
        "components": [f"kubernetes/components/{component}" for component in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return build(folder)


def image_of(container: Document) -> str:
    return str(container["image"]).rpartition("/")[2].partition(":")[0]


def words_of(container: Document) -> tuple[str, ...]:
    """What prefetch is called with, in this container."""
    return (*ENTRYPOINTS[image_of(container)], *container["args"])


def settings_of(container: Document) -> tuple[Settings, set[str]]:
    """What the program makes of a container, and the variables that this command reads."""
    chosen = choose(words_of(container), COMMANDS)
    assert chosen is not None
    command, rest = chosen
    environ = {variable["name"]: variable["value"] for variable in container["env"]}
    return load_settings(parse(command, rest), environ=environ), {variable_of(name) for name in command.options}


def named(documents: list[Document], name: str) -> Document:
    (found,) = (document for document in documents if document["name"] == name)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_what_the_published_schema_wants(full: Built, plain: Built, version: str) -> None:
    for document in (*full.documents, *plain.documents):
        if not document["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(document, version, strict=True)


def test_the_schema_finds_a_misspelt_key(plain: Built) -> None:
    document = copy.deepcopy(next(iter(plain.of_kind("Job", "Deployment"))))
    document["spec"]["template"]["spec"]["secruityContext"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_every_container_may_do_nothing_it_need_not(full: Built) -> None:
    for template, container in full.containers():
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False, "a Service's variables would pass for settings"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_the_program_takes_every_container_as_it_is(full: Built) -> None:
    for template, container in full.containers():
        settings, known = settings_of(container)
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert str(settings.volume) in mounts, "the volume is not mounted"
        for manifest in settings.manifest:
            config = named(template["spec"]["volumes"], mounts[str(manifest.parent)])["configMap"]["name"]
            (held,) = (each["data"] for each in full.of_kind("ConfigMap") if each["metadata"]["name"] == config)
            assert manifest.name in held
        variables = {variable["name"] for variable in container["env"]}
        assert {name for name in variables if name.startswith(PREFIX)} <= known | {"PREFETCH_MANIFEST"}
        for name in filter(is_ours, variables):
            value = named(container["env"], name)["value"]
            assert not name.endswith("_FILE") or str(Path(value).parent) in mounts, f"{name} names no mounted file"
            assert "TOKEN" not in name or name.endswith("_FILE"), f"{name} would show its value"


def test_every_name_leads_somewhere(full: Built) -> None:
    for template in full.workloads():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in full.names("ConfigMap")
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in full.names("PersistentVolumeClaim")
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440, "the pod's group reads it, and nobody else"
    labels = [template["metadata"]["labels"] for template in full.workloads()]
    for policy in full.of_kind("NetworkPolicy"):
        assert set(policy["spec"]["policyTypes"]) <= {"Ingress", "Egress"}
    chosen = [policy["spec"]["podSelector"]["matchLabels"] for policy in full.of_kind("NetworkPolicy")]
    assert all(any(choice.items() <= label.items() for choice in chosen) for label in labels), "a pod without a policy"
    for template, container in full.containers():
        assert {mount["name"] for mount in container["volumeMounts"]} <= {
            volume["name"] for volume in template["spec"]["volumes"]
        }
        ports = {port["name"] for port in container.get("ports", ())}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container.get(probe) is None or container[probe]["httpGet"]["port"] in ports
    # Before Kubernetes 1.32 a Service finds no port of a sidecar by its name, only those of the other containers.
    main = [container for template in full.workloads() for container in template["spec"]["containers"]]
    exposed: set[object] = {port["name"] for container in main for port in container.get("ports", ())}
    exposed |= {port["containerPort"] for _, container in full.containers() for port in container.get("ports", ())}
    for service in full.of_kind("Service"):
        assert any(service["spec"]["selector"].items() <= label.items() for label in labels)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= exposed


def test_tokens_reach_every_container_that_downloads(full: Built) -> None:
    downloading = [container for _, container in full.containers() if image_of(container) == "prefetch"]
    assert downloading
    for container in downloading:
        assert {"HF_TOKEN_FILE", "CIVITAI_API_TOKEN_FILE"} <= {variable["name"] for variable in container["env"]}


MODELS = wanted(*(BLOCK + 1 for _ in range(6)), 50_000, 40_000)
TOTAL = sum(model.content.size for model in MODELS)
NODE_PATH = "custom_nodes/comfyui-frame-interpolation/ckpts/rife/rife47.pth"
COMFYUI = """
import os, pathlib, sys
print(*sys.argv[1:])
print(*sorted(map(str, pathlib.Path("/comfyui/custom_nodes").resolve().rglob("*.pth"))))
print(pathlib.Path("/comfyui/custom_nodes/ComfyUI-Frame-Interpolation/ckpts/rife/rife47.pth").resolve())
"""


@pytest.fixture(scope="module")
def pods() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
def origin(pods: Cluster) -> Iterator[DemoServer]:
    with ExitStack() as stack:
        with pods.inside():
            link = Link(pace=5_000_000)
            server = stack.enter_context(running_origin(repos=[repo_of(MODELS)], address=ORIGIN, link=link))
        yield server


def manifest_of(folder: Path, models: list[Wanted], **keys: Any) -> Path:
    """The manifest as a pod sees it, as a ConfigMap."""
    entries = [model.entry(**keys) for model in models]
    return config_map(folder, {"manifest.yaml": json.dumps({"version": 1, "models": entries})})


def image_of_comfyui(folder: Path) -> tuple[dict[str, Path], Path]:
    """A stand-in for what the slim image has, and the pod's empty folder for a node's models."""
    image, node_models = folder / "comfyui", folder / "node-models"
    node_models.mkdir()
    (image / "custom_nodes/ComfyUI-Frame-Interpolation/ckpts").mkdir(parents=True)
    (image / "main.py").write_text(COMFYUI)
    return {"/comfyui": image}, node_models


def to_origin(origin: DemoServer) -> dict[str, str]:
    return {"HF_ENDPOINT": origin.endpoint, "PREFETCH_ALLOW_PRIVATE": "1", "PREFETCH_JSON": "1"}


@contextmanager
def started(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(words: list[str]) -> tuple[int, str, str]:
    with started(words) as process:
        stdout, stderr = process.communicate(timeout=90)
    return process.returncode, stdout, stderr


def test_the_kustomization_that_the_page_shows(tmp_path: Path) -> None:
    page = (DEPLOY.parents[1] / "docs/kubernetes.md").read_text(encoding="utf-8")
    (shown,) = (block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "kind: Kustomization" in block)
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / "deploy").symlink_to(DEPLOY.parent)
    (mine / "kustomization.yaml").write_text(shown)
    (mine / "manifest.yaml").write_text("mine: yes")
    built = build(mine)
    assert {document["metadata"]["namespace"] for document in built.documents} == {"comfyui"}
    assert [document["data"] for document in built.of_kind("ConfigMap")] == [{"manifest.yaml": "mine: yes"}]
    (_, container), (claim,) = next(built.containers()), built.of_kind("PersistentVolumeClaim")
    assert container["image"] == "registry.example.com/acme/prefetch:0.1.0"
    assert claim["spec"]["storageClassName"] == "shared"
    assert claim["spec"]["resources"] == {"requests": {"storage": "200Gi"}}


@pytest.mark.needs("namespaces", "bubblewrap", "moosefs")
def test_the_pods_of_the_parallel_job_fetch_every_model_once(
    pods: Cluster, origin: DemoServer, moosefs: MooseFS, commands: Commands, tmp_path: Path
) -> None:
    (job,) = build(DEPLOY / "parallel-job").of_kind("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    volume = moosefs.folder("parallel-job")
    nodes = [moosefs.mount() / volume.name for _ in range(2)]
    manifest = manifest_of(tmp_path / "manifest", MODELS)
    count = job["spec"]["parallelism"]
    assert count == job["spec"]["completions"] > len(nodes)
    with ExitStack() as stack:
        processes = []
        for number in range(count):
            places = {"models": nodes[number % len(nodes)], "manifest": manifest}
            words = pods.pod().words(container, commands.argv(), places=places, env=to_origin(origin))
            processes.append(stack.enter_context(started(words)))
        outputs = [process.communicate(timeout=90) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, outputs
    results = [{model["path"]: model["status"] for model in json.loads(stdout)["models"]} for stdout, _ in outputs]
    for model in MODELS:
        assert sorted(result[model.path] for result in results) == ["downloaded", *["present"] * (count - 1)]
    assert sent_bytes(origin.requests) <= 1.02 * TOTAL
    assert_whole(nodes[0], MODELS)


@pytest.mark.needs("namespaces", "bubblewrap")
def test_a_job_is_tried_again_only_where_that_can_help(
    pods: Cluster, origin: DemoServer, commands: Commands, tmp_path: Path
) -> None:
    (job,) = build(DEPLOY / "job").of_kind("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    policy = next(rule["onExitCodes"] for rule in job["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in rule)
    assert policy["containerName"] == container["name"]
    volume = tmp_path / "volume"
    volume.mkdir()
    model = MODELS[-1]
    cases = {
        "broken": (config_map(tmp_path / "broken", {"manifest.yaml": "models: ["}), {}, 2),
        "private": (manifest_of(tmp_path / "private", [model], source="hf://acme/nothing/m.safetensors"), {}, 3),
        "no-space": (manifest_of(tmp_path / "no-space", [model]), {"PREFETCH_QUOTA": "1K"}, 4),
        "damaged": (manifest_of(tmp_path / "damaged", [model], sha256="0" * 64), {}, 1),
    }
    pod = pods.pod()
    for name, (manifest, env, expected) in cases.items():
        places = {"models": volume, "manifest": manifest}
        code, _, stderr = ended(pod.words(container, commands.argv(), places=places, env=to_origin(origin) | env))
        assert code == expected, (name, stderr)
        assert (code in policy["values"]) == (name != "damaged")


@pytest.mark.needs("namespaces", "bubblewrap")
def test_a_pod_that_is_evicted_keeps_what_it_has(pods: Cluster, commands: Commands, tmp_path: Path) -> None:
    (job,) = build(DEPLOY / "job").of_kind("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (large,) = wanted(3 * BLOCK)
    volume = tmp_path / "volume"
    volume.mkdir()
    places = {"models": volume, "manifest": manifest_of(tmp_path / "manifest", [large])}
    with pods.inside(), ExitStack() as stack:
        slow = stack.enter_context(running_origin(repos=[repo_of([large])], address=ORIGIN, link=Link(pace=4_000_000)))
        pod = pods.pod()
        words = pod.words(
            container, commands.argv(), places=places, env=to_origin(slow) | {"PREFETCH_CONNECTIONS": "1"}
        )
        with started(words) as evicted:
            until(lambda: bool(journals(volume).get(large.path)), "its first block", evicted)
            terminate(evicted)
            evicted.communicate(timeout=60)
        assert evicted.returncode == 130
        code, stdout, stderr = ended(pods.pod().words(container, commands.argv(), places=places, env=to_origin(slow)))
    assert code == 0, stderr
    assert json.loads(stdout)["models"][0]["bytes_resumed"] >= BLOCK
    assert_whole(volume, [large])


@pytest.mark.needs("namespaces", "bubblewrap")
def test_the_init_container_brings_the_models_and_comfyui_starts(
    pods: Cluster, origin: DemoServer, commands: Commands, tmp_path: Path
) -> None:
    (deployment,) = build(DEPLOY / "init-container").of_kind("Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (first,), (second,) = spec["initContainers"], spec["containers"]
    image, node_models = image_of_comfyui(tmp_path)
    volume = tmp_path / "volume"
    volume.mkdir()
    (model,) = wanted(40_000, kind="pth")
    with pods.inside(), ExitStack() as stack:
        rife = stack.enter_context(running_origin(repos=[repo_of([model])], address=ORIGIN))
        places = {
            "models": volume,
            "node-models": node_models,
            "manifest": manifest_of(tmp_path / "manifest", [model], node_path=NODE_PATH),
        }
        pod = pods.pod()
        too_early = ended(pod.words(second, [*commands.argv(), "hook", "--"], places=places, image=image))
        assert too_early[0] == 1, too_early
        code, _, stderr = ended(pod.words(first, commands.argv(), places=places, env=to_origin(rife)))
        assert code == 0, stderr
    code, stdout, stderr = ended(pod.words(second, [*commands.argv(), "hook", "--"], places=places, image=image))
    assert code == 0, stderr
    options, linked, target = stdout.splitlines()
    assert options.split() == second["args"][2:]
    assert linked == f"/comfyui/{NODE_PATH.replace('comfyui-frame-interpolation', 'ComfyUI-Frame-Interpolation')}"
    assert target == f"{settings_of(first)[0].volume}/{model.path}"
    assert "warning" not in stderr


@dataclass(frozen=True, slots=True)
class Answers:
    """What a container says to who reaches its pod: the kubelet, Prometheus."""

    pods: Cluster
    pod: Pod

    def get(self, path: str, **headers: str) -> int:
        """The status of the answer, 0 where there is none."""
        return self.read(path, **headers)[0]

    def read(self, path: str, **headers: str) -> tuple[int, str]:
        """The status and the body of the answer."""
        with self.pods.inside():
            connection = http.client.HTTPConnection(self.pod.address, 9464, timeout=10)
            try:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except OSError:
                return 0, ""
            finally:
                connection.close()


@pytest.mark.needs("namespaces", "bubblewrap")
def test_the_sidecar_brings_the_models_follows_the_manifest_and_answers_the_probes(
    pods: Cluster, commands: Commands, tmp_path: Path
) -> None:
    (deployment,) = build(DEPLOY / "sidecar").of_kind("Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (sidecar,), (comfyui,) = spec["initContainers"], spec["containers"]
    probes = {name: sidecar[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    image, node_models = image_of_comfyui(tmp_path)
    first, rife = [*wanted(50_000), *wanted(40_000, kind="pth")]
    secret = config_map(tmp_path / "secret", {"token": "listen-token\n"})
    places = {"models": tmp_path / "volume", "prefetch-listen": secret, "node-models": node_models}
    places["models"].mkdir()
    places["manifest"] = manifest_of(tmp_path / "manifest", [first], source="hf://acme/nothing/m.safetensors")
    with pods.inside(), ExitStack() as stack:
        origin = stack.enter_context(running_origin(repos=[repo_of([first, rife])], address=ORIGIN))
        pod = pods.pod()
        answers = Answers(pods, pod)
        often = {"PREFETCH_POLL": "0.3"}
        words = pod.words(sidecar, commands.argv(), places=places, env=to_origin(origin) | often)
        process = stack.enter_context(started(words))
        until(lambda: answers.get(probes["livenessProbe"]) == 200, "a sign of life", process)
        assert answers.get(probes["startupProbe"]) == answers.get(probes["readinessProbe"]) == 503
        manifest_of(places["manifest"], [first])
        until(lambda: answers.get(probes["startupProbe"]) == 200, "the first model", process)
        assert_whole(places["models"], [first])
        # What the kubelet starts now.
        code, _, stderr = ended(pod.words(comfyui, [*commands.argv(), "hook", "--"], places=places, image=image))
        assert code == 0, stderr
        manifest_of(places["manifest"], [rife], node_path=NODE_PATH)
        until(lambda: (places["models"] / rife.path).exists(), "the second model", process)
        until(lambda: answers.get(probes["readinessProbe"]) == 200, "readiness", process)
        assert answers.get("/metrics") == 401
        login = {"Authorization": "Bearer listen-token"}
        # Ready is when the models are there; the run has a last word to write yet.
        until(lambda: "prefetch_run_active 0" in answers.read("/metrics", **login)[1], "the end of the run", process)
        terminate(process)
        assert process.wait(30) == 0
    assert_whole(places["models"], [rife])


def test_prometheus_is_told_where_the_sidecar_is_and_what_it_asks_for(tmp_path: Path) -> None:
    built = everything(tmp_path, "sidecar")
    (monitor,), (deployment,) = built.of_kind("ServiceMonitor"), built.of_kind("Deployment")
    (endpoint,) = monitor["spec"]["endpoints"]
    chosen = monitor["spec"]["selector"]["matchLabels"].items()
    (service,) = (each for each in built.of_kind("Service") if chosen <= each["metadata"]["labels"].items())
    port = named(service["spec"]["ports"], endpoint["port"])["targetPort"]
    spec = deployment["spec"]["template"]["spec"]
    (sidecar,) = spec["initContainers"]
    settings, _ = settings_of(sidecar)
    assert settings.listen is not None and settings.listen_token_file is not None
    assert port == settings.listen.port
    # What deploy/monitoring's scrape job goes by.
    assert (sidecar["name"], [each["name"] for each in sidecar["ports"]]) == ("prefetch", ["metrics"])
    asked = endpoint["authorization"]["credentials"]
    mount = next(m for m in sidecar["volumeMounts"] if m["mountPath"] == str(settings.listen_token_file.parent))
    assert named(spec["volumes"], mount["name"])["secret"]["secretName"] == asked["name"]
    assert settings.listen_token_file.name == asked["key"]
    policy = next(
        each for each in built.of_kind("NetworkPolicy") if each["metadata"]["name"] == service["metadata"]["name"]
    )
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]
