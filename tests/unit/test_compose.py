"""The files for Docker fit together, and fit the service: what can be held without an engine.

That the images exist, and that the whole comes up, only an engine can say.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.credentials import Keyring
from consumer.sedna.secrets import Concealer
from consumer.settings import PREFIX, Settings
from tests.unit.test_dashboard import FOLDER as GRAFANA

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
DIGEST = r"@sha256:[0-9a-f]{64}"
PROMETHEUS: dict[str, Any] = yaml.safe_load(
    (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8")
)
#: Those that run our image, for as long as the system is up.
RUNNING = {"sedna-sync", "sedna-sync-2"}


def mounts(service: str) -> dict[str, Path]:
    """Folders of the checkout, by where the container has them."""
    found = (each.split(":") for each in SERVICES[service]["volumes"] if each.startswith("./"))
    return {inside: ROOT / outside for outside, inside, *_ in found}


def test_compose_can_read_the_file() -> None:
    """Compose itself says so where it is installed, else the schema of its specification."""
    compose = ["docker", "compose"]
    if shutil.which("docker") and _said([*compose, "version"]).returncode == 0:
        done = _said([*compose, "--profile", "demo", "config", "--format", "json"])
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["services"].keys() == SERVICES.keys()
        return
    check = [str(Path(sys.executable).parent / "check-jsonschema")]
    done = _said([*check, "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"])
    assert done.returncode == 0, done.stdout


def test_no_secret_of_the_file_stands_in_what_the_logs_have_to_say() -> None:
    name = f"{PREFIX}DATABASE_URL"
    settings = Settings.load({name: SERVICES["sedna-sync"]["environment"][name]})
    hide = Concealer(*settings.secrets)
    assert settings.secrets
    text = "SEDNA_SYNC_LOG_LEVL; sedna_sync_pending; Postgres at postgres:5432/sedna_sync; kafka"
    assert hide(text) == text


def _said(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, cwd=ROOT
    )


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_waits_for_can_come_about(service: str) -> None:
    for name, waited in SERVICES[service].get("depends_on", {}).items():
        other = SERVICES[name]
        match waited["condition"]:
            case "service_healthy":
                ours = other["image"] == "sedna-sync" and "HEALTHCHECK" in DOCKERFILE
                assert "test" in other.get("healthcheck", {}) or ours
            case condition:
                assert condition == "service_completed_successfully"
                assert "restart" not in other


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_ours_or_of_one_version_and_digest(service: str) -> None:
    image = SERVICES[service]["image"]
    assert image == "sedna-sync" or re.search(rf":v?\d+\.\d+(\.\d+)?{DIGEST}$", image)


def test_our_image_is_built_by_one_service_and_never_taken_from_a_registry() -> None:
    # Of several that are built side by side under one name, all but the first fail where Docker
    # keeps its images in containerd and has none of that name yet.
    ours = {name: each for name, each in SERVICES.items() if each["image"] == "sedna-sync"}
    assert {name: each.get("build") for name, each in ours.items() if "build" in each} == {
        "migrate": "."
    }
    policies = {name: each["pull_policy"] for name, each in ours.items()}
    assert policies == dict.fromkeys(ours, "never") | {"migrate": "build"}


@pytest.mark.parametrize("service", sorted(RUNNING))
def test_a_process_waits_for_who_builds_its_image(service: str) -> None:
    # So that it is also built where only some services are asked for.
    assert "migrate" in SERVICES[service]["depends_on"]


def test_postgres_is_ready_only_when_others_can_reach_it() -> None:
    # While it sets the database up, a temporary server answers on the socket.
    test = SERVICES["postgres"]["healthcheck"]["test"]
    assert test[:4] == ["CMD", "pg_isready", "-h", "127.0.0.1"]


def test_the_topics_are_those_that_the_readme_creates() -> None:
    (script,) = SERVICES["topics"]["command"]
    for name in ("topic_reservations", "topic_stop_sales", "topic_synced", "topic_failed"):
        assert f" {Settings.model_fields[name].default}" in script
    (larger,) = re.findall(r"--topic sedna\.deadletter .*\n.*(--config \S+)\n", README)
    assert f"create {Settings.model_fields['topic_deadletter'].default} {larger}\n" in script


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_is_opened_to_the_outside(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


@pytest.mark.parametrize("service", [name for name in SERVICES if "sedna" in name])
def test_our_containers_write_nothing_and_may_nothing(service: str) -> None:
    assert SERVICES[service]["read_only"]
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert re.search(r"^USER \d+:\d+$", DOCKERFILE, re.MULTILINE)


def test_a_process_has_the_time_to_drain() -> None:
    for service in RUNNING:
        grace = float(SERVICES[service]["stop_grace_period"].removesuffix("s"))
        assert grace > Settings.model_fields["drain_timeout"].default


def test_the_settings_are_settings_and_the_key_opens_something() -> None:
    given = SERVICES["sedna-sync"]["environment"]
    assert {name.removeprefix(PREFIX).lower() for name in given} <= Settings.model_fields.keys()
    _, _, default = given[f"{PREFIX}ENCRYPTION_KEYS"].partition(":-")
    Keyring.parse(default.removesuffix("}"))


def test_prometheus_scrapes_every_process_and_has_the_rules_and_the_alertmanager() -> None:
    (scrape,) = PROMETHEUS["scrape_configs"]
    (targets,) = scrape["static_configs"]
    assert {target.partition(":")[0] for target in targets["targets"]} == RUNNING
    (folder,) = mounts("prometheus").values()
    assert all((folder / name).is_file() for name in PROMETHEUS["rule_files"])
    (manager,) = PROMETHEUS["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert manager.partition(":")[0] in SERVICES


def test_prometheus_can_read_its_configuration(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "config", ROOT / "deploy" / "prometheus" / "prometheus.yml"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_of_every_server_is_where_it_looks_for_it() -> None:
    for service in ("prometheus", "alertmanager"):
        (file,) = (
            Path(argument.partition("=")[2])
            for argument in SERVICES[service]["command"]
            if argument.startswith("--config.file=")
        )
        assert (mounts(service)[str(file.parent)] / file.name).is_file()


def test_grafana_finds_the_dashboard_and_asks_this_prometheus() -> None:
    inside = mounts("grafana")
    assert inside["/etc/grafana/provisioning"] == GRAFANA / "provisioning"
    dashboards = yaml.safe_load(
        (GRAFANA / "provisioning" / "dashboards" / "sedna-sync.yml").read_text("utf-8")
    )
    (provider,) = dashboards["providers"]
    assert inside[provider["options"]["path"]] == GRAFANA / "dashboards"
    sources = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8")
    )
    (source,) = sources["datasources"]
    assert source["url"] == "http://prometheus:9090"
    interval = PROMETHEUS["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval


def test_the_demo_waits_to_be_asked_for() -> None:
    demo = SERVICES["demo"]
    assert demo["profiles"] == ["demo"]
    assert [name for name in SERVICES if SERVICES[name].get("profiles")] == ["demo"]
    assert demo["entrypoint"][:3] == ["python", "-m", "consumer.demo.publish"]


def test_the_demo_takes_options_besides_the_address_of_its_sedna() -> None:
    # `docker compose run demo --seconds 60` puts them in the place of the command.
    demo = SERVICES["demo"]
    assert demo["command"] == []
    option, url = demo["entrypoint"][3:]
    assert option == "--sedna"
    fake = SERVICES["fake-sedna"]["command"]
    assert url.startswith(f"http://fake-sedna:{fake[fake.index('--port') + 1]}/")
