"""What is kept of a chaos run with findings: every log, and all that is known of each finding."""

import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from tests.chaos.gather import calls_about
from tests.chaos.histories import Finding, Identity
from tests.support.service import World

_FINDINGS = 25


async def keep(here: World, findings: Sequence[Finding], *, diary: Sequence[str]) -> Path:
    """Copy the logs, and write what there is about the first findings; returns the folder."""
    folder = Path(tempfile.mkdtemp(prefix="sedna-sync-chaos-"))
    shutil.copytree(here.folder, folder / "logs")
    (folder / "disruptions.txt").write_text("".join(f"{line}\n" for line in sorted(diary)))
    with (folder / "findings.txt").open("w", encoding="utf-8") as file:
        for number, finding in enumerate(findings):
            file.write(f"## {finding.broken}: {_name(finding.identity)}: {finding.text}\n\n")
            if number < _FINDINGS and finding.identity is not None:
                async for line in _about(here, finding.identity):
                    file.write(f"{line}\n")
                file.write("\n")
    return folder


async def _about(here: World, identity: Identity) -> AsyncIterator[str]:
    tenant, kind, item = identity
    rows = await here.query(
        "SELECT * FROM syncs WHERE tenant_id = $1 AND kind = $2 AND business_key = $3",
        tenant,
        kind.value,
        item,
    )
    for row in rows:
        yield f"sync: {dict(row)}"
        tries = await here.query(
            "SELECT * FROM sync_attempts WHERE sync_id = $1 ORDER BY id", row["id"]
        )
        for attempt in tries:
            yield f"attempt: {dict(attempt)}"
    for call in calls_about(here.fake, identity):
        yield f"at Sedna: {json.dumps(call.as_json())}"
    for line in _logged(here, {row["id"] for row in rows}):
        yield f"logged: {line}"


def _logged(here: World, sync_ids: set[int]) -> Iterator[str]:
    lines = [
        (str(line.get("timestamp")), f"{service.log_file.name} {json.dumps(line)}")
        for service in here.services
        for line in service.lines()
        if line.get("sync") in sync_ids
    ]
    yield from (line for _, line in sorted(lines))


def _name(identity: Identity | None) -> str:
    if identity is None:
        return "-"
    tenant, kind, item = identity
    return f"{tenant} {kind} {item}"
