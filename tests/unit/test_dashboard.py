"""The dashboard is one that Grafana can show, and asks for nothing that is not exposed."""

import json
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from consumer.accounts import Unusable
from consumer.breaker import Reason
from tests.support.dashboard import FILE, Range, legend_labels, queries, read, substituted
from tests.support.promql import families, groupings, mistakes, selectors
from tests.unit.test_alerts import ALERTS
from tests.unit.test_docs import RUNBOOKS, anchors

FOLDER = FILE.parents[1]
PROMETHEUS = FILE.parents[2] / "prometheus" / "prometheus.yml"
DASHBOARD = read()
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
OURS = {"type": "prometheus", "uid": "${datasource}"}
ALERTS_SHOWN = "Alerts that fire"
QUERIES = [*queries(DASHBOARD)]
COLUMNS = 24
register_default_plugins()  # the panels' options


def _values(*, scrape: int = 15) -> dict[str, str]:
    """Of the variables, over three hours."""
    return Range.of(0, 10_800, scrape=scrape).variables() | {"job": ".+"}


def links() -> Iterator[dict[str, Any]]:
    yield from DASHBOARD["links"]
    for panel in SHOWN:
        yield from panel.get("links", [])


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return {
        (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    }


def test_the_dashboard_has_what_grafana_needs_of_one() -> None:
    assert DASHBOARD["uid"] == "sedna-sync"
    assert DASHBOARD["title"]
    assert DASHBOARD["id"] is None, "an id is the database's of one Grafana"
    assert DASHBOARD["schemaVersion"] == 39, "Grafana brings an older one up to date, and no newer"
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


def test_grafanas_own_models_know_everything_that_is_said() -> None:
    """What they do not know is dropped: a misspelt option, or one of another panel's."""
    known: dict[str, Any] = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    dropped = [*_dropped(DASHBOARD, known)]
    # Those of the models leave out what is Prometheus' alone, and what is null.
    annotation, variable = "annotations/list/1", "templating/list/1"
    assert dropped == [
        *(f"{annotation}/{name}" for name in ("step", "textFormat", "titleFormat")),
        "id",
        f"{variable}/definition",
    ]


def _dropped(said: Any, known: Any, path: str = "") -> Iterator[str]:
    """Where something is said that is not known, or known as something else."""
    match said, known:
        case dict(), dict():
            for name in sorted(said):
                if name in known:
                    yield from _dropped(said[name], known[name], f"{path}/{name}")
                else:
                    yield f"{path}/{name}".removeprefix("/")
        case list(), list() if len(said) == len(known):
            for place, (one, other) in enumerate(zip(said, known, strict=True)):
                yield from _dropped(one, other, f"{path}/{place}")
        case _ if said != known:
            yield path.removeprefix("/")


def test_grafanas_models_are_of_the_release_that_is_run() -> None:
    compose = yaml.safe_load((FOLDER.parents[1] / "docker-compose.yml").read_text("utf-8"))
    image = compose["services"]["grafana"]["image"]
    # Their versions begin with a date: 1769699379!11.6.0.
    release = image.partition("@")[0].partition(":")[2]
    assert version("grafana-foundation-sdk").partition("!")[2] == release


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


@pytest.mark.parametrize(
    "panel, target",
    [pytest.param(*each, id=f"{each[0]['title']} {each[1]['refId']}") for each in QUERIES],
)
def test_each_query_names_only_what_is_exposed(
    panel: dict[str, Any], target: dict[str, Any]
) -> None:
    expression = target["expr"]
    # What a legend shows is what the query tells apart.
    assert legend_labels(target) <= groupings(expression)
    if panel["title"] == ALERTS_SHOWN:
        return
    assert not mistakes(expression)
    named = list(selectors(expression))
    assert named
    assert all(("job", "$job") in matchers for _, matchers in named), "of the chosen deployment"


def test_the_alerts_that_fire_are_shown_with_all_that_tells_them_apart() -> None:
    (expression,) = (target["expr"] for panel, target in QUERIES if panel["title"] == ALERTS_SHOWN)
    # An alert that no process is left has no job.
    assert 'ALERTS{job=~"$job|", alertname=~"SednaSync.*", alertstate="firing"}' in expression
    assert all(name.startswith("SednaSync") for name in ALERTS)
    kept = groupings(expression)
    assert {"alertname", "severity", "job", "instance"} <= kept
    for alert in ALERTS.values():
        said = " ".join([alert["expr"], *alert["annotations"].values()])
        assert set(re.findall(r"\$labels\.(\w+)", said)) <= kept, alert["alert"]


def test_each_rate_is_taken_over_four_scrapes_or_more() -> None:
    for _, target in QUERIES:
        windows = re.findall(r"\[([^\]]+)\]", target["expr"])
        assert set(windows) <= {"$__rate_interval", "$__range"}
    assert _values(scrape=60)["__rate_interval"] == "240s"


def test_a_number_of_now_is_not_one_of_long_ago() -> None:
    for panel in SHOWN:
        if panel["type"] in {"stat", "table"}:
            # The last one of a range is shown for as long as the range, whoever has died since.
            assert all(each["instant"] and not each["range"] for each in panel["targets"])


def test_what_can_be_empty_says_what_that_means() -> None:
    for panel in SHOWN:
        filtered = any(
            re.search(r"> 0$|tenant_blocked|ALERTS", target["expr"]) for target in panel["targets"]
        )
        if filtered:
            assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]


def test_each_reason_to_block_a_tenant_has_a_colour_of_its_own() -> None:
    (panel,) = (each for each in SHOWN if each["title"] == "Tenants blocked, by reason")
    colors = {
        override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
    }
    assert colors.keys() == {*Reason, *Unusable}
    assert len(set(colors.values())) == len(colors)


def test_what_hurts_is_on_top() -> None:
    first_row = [panel for panel in SHOWN if panel["gridPos"]["y"] == 1]
    assert {panel["type"] for panel in first_row} == {"stat"}
    for panel in first_row:
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert panel["links"], "a bad number leads to what can be done about it"
    below = {panel["title"] for panel in SHOWN if panel["gridPos"]["y"] == 5}
    assert below == {ALERTS_SHOWN, "Who is blocked"}


def test_each_alert_has_its_runbook_beside_the_numbers_that_it_is_about() -> None:
    found = set()
    for link in links():
        page, _, anchor = link["url"].removeprefix("${docs:raw}/").partition("#")
        target = RUNBOOKS.parent / page
        assert target.is_file(), link["url"]
        if anchor:
            assert anchor in anchors(target)
            assert link["title"].lower() == f"runbook: {anchor}"
            found.add(anchor)
    assert found == {name.lower() for name in ALERTS}


def test_no_variable_is_used_that_is_not_there() -> None:
    for _, target in QUERIES:
        substituted(target["expr"], _values())
    chosen = VARIABLES.keys() - {"datasource", "docs"}
    assert chosen == {"job"}
    assert VARIABLES["docs"]["type"] == "textbox"
    assert VARIABLES["docs"]["current"]["value"] == VARIABLES["docs"]["query"]


def test_no_prometheus_is_named_but_by_the_variable() -> None:
    found = [*_sources(DASHBOARD)]
    assert found
    assert {each["uid"] for each in found} == {"${datasource}", "-- Grafana --"}


def _sources(value: Any) -> Iterator[dict[str, Any]]:
    match value:
        case {"datasource": {"uid": _} as source}:
            yield source
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    for each in inside:
        yield from _sources(each)


def test_each_query_is_one_that_prometheus_can_read(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"query_{number}", "expr": substituted(target["expr"], _values())}
        for number, (_, target) in enumerate(QUERIES)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")
    done = subprocess.run(
        [promtool, "check", "rules", file], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_metric_is_on_the_dashboard() -> None:
    shown = {name for _, target in QUERIES for name, _ in selectors(target["expr"])}
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
    scraped = yaml.safe_load(PROMETHEUS.read_text("utf-8"))["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped, "or rates are taken over too little"


def _provisioned(what: str) -> Any:
    (file,) = (FOLDER / "provisioning" / what).glob("*.yml")
    return yaml.safe_load(file.read_text("utf-8"))
