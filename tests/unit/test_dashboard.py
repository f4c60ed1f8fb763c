"""The dashboard is one that Grafana can show, and asks for nothing that is not exposed."""

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.promql import families, groupings, mistakes, selectors

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads(
    (FOLDER / "dashboards" / "sedna-sync.json").read_text("utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
OURS = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24


def queries() -> Iterator[tuple[str, dict[str, Any]]]:
    for panel in SHOWN:
        for target in panel["targets"]:
            yield panel["title"], target


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return {
        (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    }


def test_the_dashboard_has_what_grafana_needs_of_one() -> None:
    assert DASHBOARD["uid"] == "sedna-sync"
    assert DASHBOARD["title"]
    assert DASHBOARD["id"] is None, "an id is the database's of one Grafana"
    assert DASHBOARD["schemaVersion"] >= 36
    assert {"from", "to"} <= DASHBOARD["time"].keys()
    assert VARIABLES["datasource"]["type"] == "datasource"
    assert VARIABLES["datasource"]["query"] == "prometheus"
    assert VARIABLES["job"]["datasource"] == OURS


def test_each_panel_has_an_id_a_title_and_a_place_of_its_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in SHOWN}) == len(SHOWN)
    for panel in PANELS:
        at = panel["gridPos"]
        assert at["w"] > 0
        assert at["h"] > 0
        assert 0 <= at["x"] <= at["x"] + at["w"] <= COLUMNS, panel["title"]
    for one, other in combinations(PANELS, 2):
        assert not cells(one) & cells(other), f"{one['title']} lies over {other['title']}"


def test_no_place_is_left_empty() -> None:
    taken = {cell for panel in PANELS for cell in cells(panel)}
    rows = max(y for _, y in taken) + 1
    assert len(taken) == COLUMNS * rows


@pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: panel["title"])
def test_each_panel_asks_the_chosen_prometheus_and_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"stat", "timeseries", "heatmap", "table"}
    assert panel["datasource"] == OURS
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for target in panel["targets"]:
        assert target["datasource"] == OURS
        assert (target.get("format") == "heatmap") == (panel["type"] == "heatmap")


@pytest.mark.parametrize("title, target", [*queries()])
def test_each_query_names_only_what_is_exposed(title: str, target: dict[str, Any]) -> None:
    expression = target["expr"]
    assert not mistakes(expression), title
    named = list(selectors(expression))
    assert named
    assert all(("job", "$job") in matchers for _, matchers in named), "of the chosen deployment"
    # What a legend shows is what the query tells apart.
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= groupings(expression)


def test_each_query_is_one_that_prometheus_can_read(promtool: str, tmp_path: Path) -> None:
    given = {"$job": ".+", "$__rate_interval": "1m"}
    rules = []
    for number, (_, target) in enumerate(queries()):
        expression = target["expr"]
        for variable, value in given.items():
            expression = expression.replace(variable, value)
        rules.append({"record": f"query_{number}", "expr": expression})
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")
    done = subprocess.run(
        [promtool, "check", "rules", file], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_metric_is_on_the_dashboard() -> None:
    shown = {name for _, target in queries() for name, _ in selectors(target["expr"])}
    for family in families():
        names = {sample.name for sample in family.samples}
        assert shown & names, family.name


def test_the_variable_asks_for_a_metric_that_is_exposed() -> None:
    assert not mistakes(VARIABLES["job"]["definition"])
    assert VARIABLES["job"]["query"]["query"] == VARIABLES["job"]["definition"]


def test_a_fresh_grafana_finds_the_dashboard_and_a_prometheus() -> None:
    (provider,) = _provisioned("dashboards")["providers"]
    assert provider["type"] == "file"
    (source,) = _provisioned("datasources")["datasources"]
    assert source["type"] == OURS["type"]
    assert source["isDefault"]


def _provisioned(what: str) -> Any:
    (file,) = (FOLDER / "provisioning" / what).glob("*.yml")
    return yaml.safe_load(file.read_text("utf-8"))
