"""The container image is built from the Dockerfile, started as it says, and asked.

The public base image may be out of reach, so the test makes a base of its own:
a minimal Debian with Python, made by debootstrap and kept in the user's cache.
It needs root, buildah and debootstrap, and takes minutes the first time; hence
`make image-test` and not `make test`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

pytestmark = [pytest.mark.image, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parent.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "antecache"
IMAGE = "localhost/antecache-under-test"
BASE = "localhost/antecache-test-base"
# Older buildah knows no overlay file system inside a container; vfs works everywhere.
BUILDAH = (
    *("buildah", "--storage-driver", "vfs"),
    *("--root", str(CACHE / "containers"), "--runroot", str(CACHE / "run")),
)


def run(*command: str, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def buildah(*arguments: str) -> str:
    return run(*BUILDAH, *arguments)


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    reason = ""
    if missing := [tool for tool in ("buildah", "debootstrap") if not shutil.which(tool)]:
        reason = f"{' and '.join(missing)} not installed"
    elif os.geteuid() != 0:
        reason = "debootstrap and chroot need root"
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    elif reason:
        pytest.skip(reason)
    CACHE.mkdir(parents=True, exist_ok=True)
    buildah("rm", "--all")  # what an interrupted run left would hold its image


@pytest.fixture(scope="module")
def base(tools: None) -> str:
    """A Debian with Python, pip and venv, as an image."""
    if BASE in buildah("images", "--format", "{{.Name}}"):
        return BASE
    tree = CACHE / "base"
    if not tree.exists():
        building = CACHE / "base.building"
        shutil.rmtree(building, ignore_errors=True)
        packages = "--include=python3,python3-venv,python3-pip,ca-certificates"
        run("debootstrap", "--variant=minbase", packages, "bookworm", str(building), *mirror())
        building.rename(tree)
    container = buildah("from", "scratch").strip()
    try:
        buildah("copy", "--quiet", container, str(tree), "/")
        buildah("commit", "--quiet", container, BASE)
    finally:
        buildah("rm", container)
    return BASE


def mirror() -> list[str]:
    """The mirror that apt uses here, where it says so."""
    if not shutil.which("apt-get"):
        return []
    targets = run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)")
    sites = [line.split()[0] for line in targets.splitlines() if line.endswith(" bookworm")]
    return sites[:1]


@pytest.fixture(scope="module")
def image(base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, built with the Dockerfile as it stands."""
    pip_conf = tmp_path_factory.mktemp("pip") / "pip.conf"
    lines, volumes = ["[global]"], []
    for line in run("python3", "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        setting, value = name.rpartition(".")[2], value.strip("'\"")
        if setting == "cert":
            volumes = ["--volume", f"{value}:{value}:ro"]
            lines.append(f"cert = {value}")
        elif setting == "index-url" and not value.startswith("file:"):
            lines.append(f"index-url = {value}")
    pip_conf.write_text("\n".join(dict.fromkeys(lines)) + "\n")
    buildah(
        *("bud", "--isolation", "chroot", "--format", "docker", "--pull-never"),
        *("--build-arg", f"BASE={base}", "--secret", f"id=pip,src={pip_conf}"),
        *(*volumes, "--tag", IMAGE, str(ROOT)),
    )
    yield IMAGE
    buildah("rmi", IMAGE)
    buildah("rmi", "--prune")


@pytest.fixture(scope="module")
def settings(image: str) -> dict[str, Any]:
    """What `docker inspect` would show of the image."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))
    return dict(found["Docker"]["config"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A container that runs the image's own command, in this machine's network."""

    def __init__(self, image: str, settings: dict[str, Any]) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        self.container = buildah("from", "--pull-never", image).strip()
        environment = [f"ANTECACHE_PORT={self.port}", f"ANTECACHE_METRICS_PORT={self.metrics_port}"]
        for variable in environment:
            buildah("config", "--env", variable, self.container)
        command = [*settings["Entrypoint"], *settings["Cmd"]]
        self.process = subprocess.Popen(
            [*BUILDAH, "run", "--isolation", "chroot", self.container, "--", *command],
            start_new_session=True,
        )

    def wait(self) -> None:
        """Return once it listens."""
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not listen"
                time.sleep(0.1)

    def execute(self, *command: str) -> str:
        return buildah("run", "--isolation", "chroot", self.container, "--", *command)

    def stop(self) -> int:
        """What `docker stop` does: SIGTERM to the server; returns its exit code."""
        try:
            with redis.Redis(port=self.port) as client:
                server = int(client.info("server")["process_id"])
            os.kill(server, signal.SIGTERM)  # chroot isolation has the process ids of the host
            return self.process.wait(20)
        except (redis.ConnectionError, subprocess.TimeoutExpired):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait() or -signal.SIGKILL

    def remove(self) -> None:
        buildah("rm", self.container)


@pytest.fixture(scope="module")
def running(image: str, settings: dict[str, Any]) -> Iterator[Running]:
    server = Running(image, settings)
    try:
        server.wait()
        yield server
    finally:
        server.stop()
        server.remove()


def test_it_is_a_cache(running: Running) -> None:
    with redis.Redis(port=running.port) as client:
        assert client.ping()
        client.set("key", "value")
        assert client.get("key") == b"value"
        assert client.config_get("protected-mode") == {"protected-mode": "no"}


def test_its_metrics_can_be_scraped(running: Running) -> None:
    url = f"http://127.0.0.1:{running.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert "\nredis_up 1.0\n" in answer.read().decode()


def test_its_health_check_passes_while_it_runs(running: Running, settings: dict[str, Any]) -> None:
    verb, *command = settings["Healthcheck"]["Test"]
    assert verb == "CMD"
    assert running.execute(*command).strip() == "+PONG"


def test_it_runs_without_rights(running: Running, settings: dict[str, Any]) -> None:
    assert settings["User"] == "antecache"
    assert running.execute("id", "-u").strip() == "10001"


def test_it_holds_the_wheel_and_every_driver_but_no_source(running: Running) -> None:
    code = "import antecache.server, asyncpg, asyncmy, zstandard; print(antecache.server.__file__)"
    where = running.execute("/opt/antecache/bin/python", "-c", code).strip()
    assert where.startswith("/opt/antecache/lib/") and "site-packages" in where
    assert running.execute("sh", "-c", "ls -d /src /wheels /etc/pip.conf || true").strip() == ""


def test_it_stops_when_told_to(image: str, settings: dict[str, Any]) -> None:
    server = Running(image, settings)
    try:
        server.wait()
        assert server.stop() == 0
    finally:
        server.remove()


def test_ports_are_declared(settings: dict[str, Any]) -> None:
    assert set(settings["ExposedPorts"]) == {"6379/tcp", "9121/tcp"}
