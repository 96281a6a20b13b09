"""The files for Docker fit the server: the dashboard asks for metrics that are there.

The image itself is built and started by `make image-test`.

What this file does not do: start Prometheus or Grafana.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from antecache.server.shop import create
from antecache.server.spawn import start

DOCKER = Path(__file__).parent.parent / "docker"
DASHBOARD = json.loads((DOCKER / "grafana/dashboards/antecache.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
#: Metrics of ours in a PromQL expression; a histogram's series end in these, its name does not.
METRIC = re.compile(r"\b(?:redis|antecache)_[a-z_]+\b(?=[{\[ )]|$)")


def expressions() -> Iterator[str]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory, unused_tcp_port_factory: Any) -> str:
    """/metrics of a server that has read through to a database."""
    path = tmp_path_factory.mktemp("docker") / "shop.db"
    create(path)
    metrics = unused_tcp_port_factory()
    settings = {"backing": f"sqlite:///{path}", "metrics-port": metrics, "maxmemory": "500mb"}
    with start(settings) as server, redis.Redis(port=server.port) as client:
        for number in range(1, 40):
            assert client.get(f"products:{number}") is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


def test_every_metric_of_the_dashboard_is_exported(scraped: str) -> None:
    exported = set(re.findall(r"^([a-z_]+)[{ ]", scraped, re.MULTILINE))
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert len(asked) > 25
    assert asked <= exported


def test_every_label_the_dashboard_groups_by_is_exported(scraped: str) -> None:
    for expression in expressions():
        for label in re.findall(r"by \((\w+)\)", expression):
            if label in ("instance", "le"):
                continue  # Prometheus adds the first, every histogram has the second
            (metric, *_) = METRIC.findall(expression)
            assert re.search(rf"^{metric}{{[^}}]*\b{label}=", scraped, re.MULTILINE), expression


def test_panels_do_not_overlap_and_each_says_what_it_shows() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
    assert all(panel["description"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_prometheus_scrapes_the_port_that_compose_gives_the_cache() -> None:
    """Both files are read as text: YAML is no dependency of ours."""
    compose = (DOCKER / "compose.yml").read_text("utf-8")
    assert 'ports: ["6379:6379", "9121:9121"]' in compose
    assert 'targets: ["antecache:9121"]' in (DOCKER / "prometheus.yml").read_text("utf-8")
    for mounted in re.findall(r"- \./([^:]+):", compose):
        assert (DOCKER / mounted).exists(), mounted
