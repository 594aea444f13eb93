"""Both images, built by the real buildah on bases that debootstrap made, and run."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from prefetch.demo.server import running_origin
from prefetch.image.archive import Layer, read_image
from prefetch.image.contents import Stored
from tests.support.cluster import config_map
from tests.support.containers import Buildah, BuildFailed, debian_base, own_storage
from tests.support.kubernetes import DEPLOY, build
from tests.support.models import BLOCK, assert_whole, repo_of, wanted, write_manifest
from tests.support.prometheus import free_port

pytestmark = [pytest.mark.needs("buildah"), pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent
IMAGES = Path(__file__).parent / "images"
BASE, WORKER = "localhost/base", "localhost/worker"
NODES = "/opt/build/install-nodes"
PACKAGES = "pip install --prefix=/opt/node-packages"
PROGRAM = "pip wheel"


UNTIL_READY = """
import sys, time, urllib.request
for _ in range(600):
    try:
        print(urllib.request.urlopen(sys.argv[1]).read().decode().strip())
        break
    except OSError:
        time.sleep(0.1)
"""


@dataclass(frozen=True, slots=True)
class Project:
    """What the images are built from: a copy of ours with other nodes and packages."""

    folder: Path

    def write(self, name: str, *lines: str) -> None:
        (self.folder / "deploy/image" / name).write_text("\n".join(lines) + "\n")


class Nodes:
    """Git repositories of custom nodes, served as plain files."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url

    def publish(self, name: str, code: str) -> str:
        """A repository with one commit; gives its line for nodes.txt."""
        work, bare = self._folder / f"{name}.work", self._folder / f"{name}.git"
        work.mkdir()
        (work / "__init__.py").write_text(code)
        git = functools.partial(subprocess.run, check=True, capture_output=True, text=True)
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "node")):
            git(["git", "-C", work, *words])
        git(["git", "clone", "-q", "--bare", work, bare])
        git(["git", "-C", bare, "update-server-info"])
        commit = git(["git", "-C", work, "rev-parse", "HEAD"]).stdout.strip()
        return f"{self._url}/{name}.git {commit[:12]}"


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    with own_storage(Path("/var/tmp/prefetch-images")) as buildah:
        debian_base(buildah, BASE)
        context = tmp_path_factory.mktemp("worker")
        shutil.copytree(IMAGES / "worker", context / "worker")
        shutil.copy(buildah.pip_conf, context)
        buildah.build(IMAGES / "Dockerfile.worker", context, tag=WORKER, PYTHON_IMAGE=BASE)
        yield buildah


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("repositories")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Nodes(folder, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return copy_of_project(tmp_path / "project")


def copy_of_project(folder: Path) -> Project:
    for name in ("prefetch", "requirements", "deploy"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "Dockerfile.slim", "Dockerfile.prefetch", ".dockerignore"):
        shutil.copy(ROOT / name, folder)
    return Project(folder)


@pytest.fixture(scope="module")
def slim(buildah: Buildah, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project from which localhost/slim was built: two nodes by commit, one by registry, one package."""
    project = copy_of_project(tmp_path_factory.mktemp("slim") / "project")
    needs_cpu = "import comfy.model_management, humanize\nNODE_CLASS_MAPPINGS = {'One': object, 'Two': object}\n"
    project.write("nodes.txt", "# nodes", nodes.publish("ComfyUI-First", needs_cpu), "comfyui-second@1.2.0")
    project.write("packages.txt", "humanize==4.9.0", "hyperlink==21.0.0")
    build_slim(buildah, project)
    return project


def build_slim(buildah: Buildah, project: Project) -> str:
    dockerfile = project.folder / "Dockerfile.slim"
    return buildah.build(dockerfile, project.folder, tag="localhost/slim", BASE_IMAGE=WORKER)


def added_to(base: str, image: str, buildah: Buildah, folder: Path) -> tuple[set[bytes], list[Layer]]:
    """The hashes of the base's files, and the layers that the image adds to it."""
    below = read_image(buildah.save(base, folder / "base.tar"))
    layers = read_image(buildah.save(image, folder / "image.tar"))
    assert [layer.contents for layer in layers[: len(below)]] == [layer.contents for layer in below]
    return {file.sha256 for layer in below for file in files_of(layer)}, layers[len(below) :]


def files_of(layer: Layer) -> list[Stored]:
    return [entry for entry in layer.contents if isinstance(entry, Stored) and entry.size]


def cached(log: str, step: str) -> bool:
    """Whether the build took this step's result from an earlier build."""
    lines = log.splitlines()
    (at,) = [number for number, line in enumerate(lines) if "STEP" in line and step in line]
    return "Using cache" in lines[at + 1]


def test_slim_adds_no_model_no_base_byte_and_no_cache(
    slim: Project, buildah: Buildah, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    base, layers = added_to(WORKER, "localhost/slim", buildah, tmp_path)
    files = [file for layer in layers for file in files_of(layer)]
    record_property("measured", f"Dockerfile.slim adds {sum(file.size for file in files):,} bytes to its base")
    assert not [file.path for file in files if file.format is not None]
    of_nodes = [file for file in files if file.path.startswith(("opt/node-packages/", "comfyui/"))]
    # Every package has a few bytes that say who installed it.
    assert of_nodes and not [file.path for file in of_nodes if file.sha256 in base and file.size > 100]
    assert not [file.path for file in files if "/.cache/" in file.path or "/.git/" in file.path]


def test_slims_nodes_and_packages_are_where_comfyui_finds_them(slim: Project, buildah: Buildah) -> None:
    with buildah.container("localhost/slim") as container:
        imported = json.loads(container.run("cat", "/etc/prefetch/nodes.json").stdout)
        assert imported == {
            "ComfyUI-First": ["One", "Two"],
            "base_node": ["BaseNode"],
            "comfyui-second": ["comfyui-second"],
        }
        found = container.run(
            "python", "-c", "import hyperlink, idna; print(hyperlink.__file__, idna.__file__)"
        ).stdout.split()
        assert found[0].startswith("/opt/node-packages/") and found[1].startswith("/opt/venv/")
        assert container.run("python", "-c", "import aiohttp").returncode != 0
        assert "models/text_encoders" in container.run("cat", "/comfyui/extra_model_paths.yaml").stdout
    inspected = json.loads(buildah("inspect", "--type=image", "localhost/slim"))["Docker"]["config"]
    assert (inspected["Entrypoint"], inspected["Cmd"]) == (["prefetch", "hook", "--"], ["/start.sh"])


def test_a_change_rebuilds_its_own_stage_only(slim: Project, nodes: Nodes, buildah: Buildah) -> None:
    lines = (slim.folder / "deploy/image/nodes.txt").read_text().splitlines()
    slim.write("nodes.txt", *lines, nodes.publish("ComfyUI-Third", "NODE_CLASS_MAPPINGS = {}"))
    log = build_slim(buildah, slim)
    assert (cached(log, NODES), cached(log, PACKAGES), cached(log, PROGRAM)) == (False, True, True)
    with (slim.folder / "prefetch/__init__.py").open("a") as module:
        module.write("# changed\n")
    log = build_slim(buildah, slim)
    assert (cached(log, NODES), cached(log, PACKAGES), cached(log, PROGRAM)) == (True, True, False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("broken", "import-nodes: not importable: broken"),
        ("comfyui-nowhere@1.0.0", "install-nodes: comfyui-nowhere@1.0.0 was not installed"),
        ("comfyui-second", "write 'ADDRESS COMMIT' or 'NAME@VERSION', so that next year's image has the same node"),
        ("http://127.0.0.1/x main", "write 'ADDRESS COMMIT' or 'NAME@VERSION'"),
    ],
)
def test_a_node_that_cannot_be_had_fails_the_build(
    project: Project, nodes: Nodes, buildah: Buildah, line: str, message: str
) -> None:
    project.write(
        "nodes.txt", nodes.publish("broken", "import a_package_that_nobody_has") if line == "broken" else line
    )
    project.write("packages.txt", "humanize==4.9.0", "hyperlink==21.0.0")
    with pytest.raises(BuildFailed) as failure:
        build_slim(buildah, project)
    assert message in str(failure.value)


def test_slims_entrypoint_fills_the_volume_and_becomes_the_command(
    slim: Project, buildah: Buildah, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    gguf, rife = wanted(3 * BLOCK, kind="gguf")[0], wanted(50_000, kind="pth")[0]
    node_path, port = "custom_nodes/comfyui-first/ckpts/rife.pth", free_port()
    write_manifest(volume / "prefetch.yaml", [gguf.entry(), rife.entry(node_path=node_path)])
    with (
        running_origin(repos=[repo_of([gguf, rife])], tokens={"hf_planted": "me"}) as origin,
        buildah.container("localhost/slim") as container,
    ):
        env = {"HF_ENDPOINT": origin.endpoint, "HF_TOKEN": "hf_planted", "PREFETCH_MODE": "ensure"}
        done = container.run("prefetch", "hook", "--", "/start.sh", volumes=[f"{volume}:/runpod-volume"], env=env)
        assert done.returncode == 0, done.stderr
        asked = len(origin.requests)
        again = container.run("prefetch", "hook", "--", "/start.sh", volumes=[f"{volume}:/runpod-volume"], env=env)
        assert (again.returncode, len(origin.requests)) == (0, asked)
        beside = {**env, "PREFETCH_SERVE": "1", "PREFETCH_LISTEN": f"127.0.0.1:{port}"}
        command = ("prefetch", "hook", "--", "python", "-c", UNTIL_READY, f"http://127.0.0.1:{port}/readyz")
        served = container.run(*command, volumes=[f"{volume}:/runpod-volume"], env=beside)
        assert (served.returncode, served.stdout) == (0, "ready\n"), served.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("start.sh runs as process ")
    assert f"/runpod-volume/{gguf.path}" in lines and "/comfyui/custom_nodes/ComfyUI-First/ckpts/rife.pth" in lines
    assert not [line for line in lines if "hf_planted" in line or line.startswith("env PREFETCH_")]
    assert_whole(volume, [gguf, rife])


@pytest.fixture(scope="module")
def job_image(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> str:
    project = copy_of_project(tmp_path_factory.mktemp("job") / "project")
    dockerfile, tag = project.folder / "Dockerfile.prefetch", "localhost/prefetch"
    buildah.build(dockerfile, project.folder, tag=tag, PYTHON_IMAGE=BASE)
    return tag


def test_the_job_image_is_small(
    job_image: str, buildah: Buildah, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    _, layers = added_to(BASE, job_image, buildah, tmp_path)
    added = sum(file.size for layer in layers for file in files_of(layer))
    record_property("measured", f"Dockerfile.prefetch adds {added:,} bytes to its base")
    assert added <= 120_000_000
    assert not [file.path for layer in layers for file in files_of(layer) if file.path.endswith((".a", ".o", "/gcc"))]
    inspected = json.loads(buildah("inspect", "--type=image", job_image))["Docker"]["config"]
    assert inspected["Healthcheck"]["Test"] == ["CMD", "healthcheck"]
    assert "PREFETCH_REQUIRE_MOUNT=1" in inspected["Env"]


@pytest.mark.parametrize(
    ("owner", "uid", "expected"),
    [(1000, "1000", 1000), (0, "1000", 0), (0, "0", 0), (4321, "4321", 4321)],
    ids=["drops", "volume-of-root", "root-asked-for", "other-user"],
)
def test_the_job_runs_as_the_user_that_may_write(
    job_image: str, buildah: Buildah, tmp_path: Path, owner: int, uid: str, expected: int
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o755)
    source = volume / "source.gguf"
    source.write_bytes(b"GGUF" + bytes(60))
    model = {"path": "models/unet/x.gguf", "source": "file:///workspace/source.gguf"}
    (volume / "prefetch.yaml").write_text(json.dumps({"version": 1, "models": [model]}))
    for path in (volume, *volume.iterdir()):
        shutil.chown(path, owner, owner)
    with buildah.container(job_image) as container:
        done = container.run("entrypoint", "run", volumes=[f"{volume}:/workspace"], env={"PREFETCH_UID": uid})
    assert done.returncode == 0, done.stderr
    placed = volume / "models/unet/x.gguf"
    assert hashlib.sha256(placed.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    assert placed.stat().st_uid == expected
    assert ("may not write to /workspace; going on as root" in done.stderr) == (expected != int(uid))


def test_a_job_without_its_volume_says_so(job_image: str, buildah: Buildah) -> None:
    with buildah.container(job_image) as container:
        done = container.run("entrypoint", "run", "--volume", "/workspace")
    assert done.returncode == 2
    assert "Nothing is mounted at /workspace" in done.stderr


@pytest.mark.needs("kubectl")
def test_the_job_of_kubernetes_runs_in_the_image_as_its_manifest_has_it(
    job_image: str, buildah: Buildah, tmp_path: Path
) -> None:
    (job,) = build(DEPLOY / "job").of_kind("Job")
    pod = job["spec"]["template"]["spec"]
    user, group = pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]
    (container,) = pod["containers"]
    model = {"path": "models/unet/x.gguf", "source": "file:///workspace/source.gguf"}
    manifest = config_map(tmp_path / "manifest", {"manifest.yaml": json.dumps({"version": 1, "models": [model]})})
    volume = tmp_path / "models"
    volume.mkdir()
    (volume / "source.gguf").write_bytes(b"GGUF" + bytes(60))
    for path in (volume, *volume.iterdir()):
        shutil.chown(path, user, group)
    places = {"models": volume, "manifest": manifest}
    mounts = [mount for mount in container["volumeMounts"] if mount["name"] in places]
    with buildah.container(job_image) as running:
        done = running.run(
            "entrypoint",
            *container["args"],
            volumes=[f"{places[mount['name']]}:{mount['mountPath']}" for mount in mounts],
            env={variable["name"]: variable["value"] for variable in container["env"]},
            options=[f"--user={user}:{group}", "--cap-drop=all"],
        )
    assert done.returncode == 0, done.stderr
    assert (volume / "models/unet/x.gguf").stat().st_uid == user
