"""`sedna-sync doctor`: is everything that the service needs there, and well?"""

import logging
import os
from dataclasses import asdict

import click

from consumer.bootstrap import AccountBuilder
from consumer.checkup import Finding, examine
from consumer.cli.common import as_json, load_settings, print_json, wait_for
from consumer.clock import SystemClock


@click.command()
@as_json
def doctor(*, as_json: bool) -> int:
    """Check Kafka (topics, rights), Postgres, keys and each tenant's login. Changes nothing."""
    settings = load_settings("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "ENCRYPTION_KEYS")
    # The libraries' own complaints would stand beside the findings that say the same.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    build = AccountBuilder(settings=settings, clock=SystemClock(), environ=os.environ)
    findings = wait_for(examine(settings, lambda tenant: build(tenant, {})))
    well = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": well, "checks": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _show(finding)
    return 0 if well else 1


def _show(finding: Finding) -> None:
    mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
    click.echo(f"{mark}  {finding.name}: {finding.message}")
