"""The pipeline, in the order of its stages:

    URL list -> sources -> partition -> profile (MPI) -> schedule -> download (server actors <-> worker tasks)
             -> output -> tools

Each stage is skipped if its result exists already, so the same command continues a run.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ray_downloader.cluster.dashboard import require_free_port
from ray_downloader.cluster.environment import prepare_environment
from ray_downloader.config.contact import ContactCheck, ContactRule, require_contact
from ray_downloader.config.legacy_environment import legacy_environment
from ray_downloader.config.proxy import warn_of_unused_proxy
from ray_downloader.config.secrets import SecretHeaders, proxy_variable
from ray_downloader.config.settings import Settings
from ray_downloader.config.store_url import is_store_url
from ray_downloader.errors import DamagedFileError, ExitCode, RunFolderError
from ray_downloader.fetch.base import FETCHERS
from ray_downloader.fetch.signature import RequestSigner
from ray_downloader.logs import start_logging
from ray_downloader.machine import with_home
from ray_downloader.monitor.plan import make_plan, show_plan, write_plan
from ray_downloader.monitor.renditions import Renditions
from ray_downloader.monitor.reused import base_figures
from ray_downloader.monitor.run_report import RunReport, read_report, reporting
from ray_downloader.monitor.summary import (
    StageFigures,
    figures_of,
    load_summary,
    save_summary,
    show_summary,
    summarise,
)
from ray_downloader.monitor.waiting import iso_time
from ray_downloader.output.citation import cite
from ray_downloader.output.croissant import write_croissant
from ray_downloader.output.data_card import begin_data_card, write_data_card
from ray_downloader.output.time_left import may_read_all
from ray_downloader.output.verify import verify
from ray_downloader.partition import DocumentReader, load_partition_summary, partition
from ray_downloader.partition.batches import load_batches
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.profile.table import load_profiled_sizes
from ray_downloader.progress import shown as show_units
from ray_downloader.report.shown import shown_command
from ray_downloader.report.write import report_at_the_end
from ray_downloader.reuse import find_base_rows, require_base, take_base
from ray_downloader.run_folder.atomic import remove_temps, set_aside, write_text
from ray_downloader.run_folder.base_runs import load_base_plan
from ray_downloader.run_folder.file_errors import file_error, list_error
from ray_downloader.run_folder.guards import (
    refuse_legacy_run,
    refuse_other_pictures,
    refuse_replaced_images,
)
from ray_downloader.run_folder.health import damaged_url_tables, set_damaged_aside, set_files_aside
from ray_downloader.run_folder.identity import (
    ACCEPTED,
    RunIdentity,
    batch_keys,
    changed_keys,
    cut_as_before,
    earlier_pictures,
    load_identity,
    picture_keys,
    row_keys,
    save_identity,
    with_list,
)
from ray_downloader.run_folder.known_servers import KnownServers
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.lock import holding_run
from ray_downloader.run_folder.moves import Moves, finish_moves, make_moves, trash_name
from ray_downloader.run_folder.reset import check_reset, is_due, moves_of_reset
from ray_downloader.run_folder.retry_order import begin_retry, finish_retry
from ray_downloader.run_folder.server_lists import load_ignored_servers
from ray_downloader.run_folder.small_json import read_object
from ray_downloader.schedule.run_status import scan
from ray_downloader.signals import run_until_stopped, same_command
from ray_downloader.slurm.begin import require_job, working_job
from ray_downloader.stores.reading import whole_run
from ray_downloader.stores.session import Results, make_work_folder, results_of
from ray_downloader.tools.publish import applied_folders, applied_tools, refuse_damaged_results, replaced_batches

if TYPE_CHECKING:
    from ray_downloader.cluster.driver import DownloadResult

#: How many unknown servers a message names.
SHOWN_NAMES = 5
#: What the run does about robots.txt, and how to change it: a run's first line.
_ROBOTS = {
    "delay": "robots.txt: Crawl-delay is kept, and a file that names ray_downloader is obeyed; what others exclude is "
    "only counted (politeness.robots=delay). politeness.robots=obey leaves it out",
    "obey": "robots.txt: what it excludes is left out (politeness.robots=obey)",
    "ignore": "robots.txt: only a file that names ray_downloader is obeyed (politeness.robots=ignore)",
}
#: Where `reset=batched` keeps documents until everything is checked.
FRESH_MANIFESTS = ".manifests"
#: How to retry if the command is unknown.
AGAIN = "the same call with retry_errors=transient"

_log = logging.getLogger(__name__)


def run(settings: Settings, contact_rule: ContactRule = require_contact, again: str = AGAIN) -> ExitCode:
    """Run the stages that are not done.

    Args:
        settings: What to do.
        contact_rule: Applied if public servers would receive requests without a contact.
        again: How to retry the errors that may pass, in words for the user.

    Returns:
        `SETTLED`, or `STOPPED` if a signal or the time limit came first.

    Raises:
        UserError: Configuration or input is unusable, or another run holds the folder.
    """
    require_job(settings)
    settings = _absolute(settings)
    settled_rows = partial(_settled_rows, RunLayout.of(settings))
    try:
        return run_until_stopped(lambda: _run(settings, contact_rule, again), settings, settled_rows)
    except DamagedFileError as error:
        set_aside(Path(error.path))
        raise
    except OSError as error:
        told = file_error(error, settings.path_to_output) or list_error(error, settings.path_to_input)
        if told is None:
            raise
        raise told from None


def _settled_rows(layout: RunLayout) -> int:
    """Rows of a run folder that had their result when it was last looked at."""
    rows = (read_report(layout.progress_file) or {}).get("rows") or {}
    return int(rows.get("successes", 0) + rows.get("errors", 0))


def _run(settings: Settings, contact_rule: ContactRule, again: str) -> ExitCode:
    layout = RunLayout.of(settings)
    make_work_folder(settings)
    with (
        holding_run(layout.root, layout.lock_file),
        results_of(settings, layout) as results,
        _with_demo_site(settings) as completed,
    ):
        return results.finish(_run_held(completed, layout, contact_rule, again, results))


def _run_held(
    settings: Settings, layout: RunLayout, contact_rule: ContactRule, again: str, results: Results
) -> ExitCode:
    """The run, in a folder that nobody else uses."""
    console = Console(stderr=True)
    refuse_legacy_run(layout)  # before anything is written into it
    damage = set_files_aside(layout)
    start_logging(layout.logs, settings.downloader_parameters.logger_level, console, settings.logging.format)
    if settings.store is not None:
        _log.info("results go to %s; the run works in %s", settings.store, layout.root)
    RequestSigner.of(settings.politeness)
    SecretHeaders.read(settings, os.environ)  # better to report a missing variable now than in a worker
    if settings.mode == "run" and "download" in settings.stages:
        require_free_port(settings.cluster)  # likewise
    settings = settings.model_copy(update={"base": tuple(str(whole_run(path, "base")) for path in settings.base)})
    require_base(settings, layout)
    finish_moves(layout.root)
    for folder in (layout.root, layout.urls, layout.schedules, layout.robots, layout.logs):
        remove_temps(folder)
    for sentence in (*damage, *set_damaged_aside(layout)):
        _log.warning("%s", sentence)
    _reset(settings, layout, contact_rule, console)
    refuse_replaced_images(settings, layout, applied_tools(layout.tools))
    identity = _same_run(settings, layout, contact_rule)
    save_identity(layout, identity)
    write_text(layout.settings_file, settings.to_json())
    os.environ.update(legacy_environment(settings, layout.settings_file))  # for the steps of a Slurm job
    os.environ.update(proxy_variable(settings))
    if settings.mode == "plan":
        _partition(settings, layout, ContactCheck(settings, contact_rule))
        find_base_rows(settings, layout)
        plan = make_plan(settings, layout, os.environ)
        write_plan(plan, layout)
        show_plan(plan, console)
        return ExitCode.SETTLED
    again = shown_command(again)  # it is logged, too, if errors may pass
    write_text(layout.command_file, again + "\n")
    exit_code = ExitCode.STOPPED
    try:
        with working_job(settings, layout), reporting(layout.progress_file) as report:
            exit_code = _stages(settings, layout, contact_rule, _Shown(console, report, again), results)
        return exit_code
    finally:
        report_at_the_end(layout, is_stopped=exit_code is ExitCode.STOPPED)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Where progress is shown, and what to say at the end about retrying errors."""

    console: Console
    report: RunReport
    again: str


def _stages(
    settings: Settings, layout: RunLayout, contact_rule: ContactRule, shown: _Shown, results: Results
) -> ExitCode:
    shown.report.enter("partition")
    contact = ContactCheck(settings, contact_rule)
    _partition(settings, layout, contact)
    find_base_rows(settings, layout)
    results.refresh()
    _log.info(_ROBOTS[settings.politeness.robots])
    _say_ignored(settings, layout)
    contact.run_folder(layout)
    warn_of_unused_proxy(settings.network, os.environ)
    shown.report.enter("profile")
    _profile(settings, layout)
    shown.report.enter("download")
    results.refresh()
    return _download(settings, layout, shown, results)


def _absolute(settings: Settings) -> Settings:
    """Paths that mean the same to every process, whatever its working directory."""
    given = settings.path_to_input
    path_to_input = given if "://" in given else str(with_home(given).absolute())
    path_to_output = with_home(settings.path_to_output).absolute()
    base = tuple(path if is_store_url(path) else str(with_home(path).absolute()) for path in settings.base)
    return settings.model_copy(update={"path_to_input": path_to_input, "path_to_output": path_to_output, "base": base})


@contextmanager
def _with_demo_site(settings: Settings) -> Iterator[Settings]:
    """The settings; for `+experiment=demo` with its servers running and its list as the input."""
    if not settings.demo:
        yield settings
        return
    from ray_downloader.demo import running_demo  # noqa: PLC0415 (only the demo needs it)

    with running_demo(settings.path_to_output / "demo") as site:
        network = settings.network.model_copy(update={"connect_to": site.connect_to})
        yield settings.model_copy(update={"path_to_input": str(site.path_to_input), "network": network})


def _reset(settings: Settings, layout: RunLayout, contact_rule: ContactRule, console: Console) -> None:
    """Start over, if that is asked for and nothing speaks against the run that is to follow."""
    if settings.reset is None:
        shutil.rmtree(layout.root / FRESH_MANIFESTS, ignore_errors=True)  # of a reset that was refused
        return
    if not is_due(settings, layout, os.environ):
        _log.info("reset=%s: this job has done that before it was requeued; it continues", settings.reset)
        return
    check_reset(settings, layout, console.input if sys.stdin.isatty() and console.is_terminal else None)
    FETCHERS.get(settings.fetcher.name)
    trash = trash_name(time.time())
    moves = moves_of_reset(settings, layout, applied_folders(layout.tools), os.environ, trash)
    if settings.reset == "batched":
        from ray_downloader.partition.compare import STAGED, partitioned  # noqa: PLC0415 - loads DuckDB
        from ray_downloader.partition.content import content_of_list  # noqa: PLC0415

        content = content_of_list(settings, layout)
        contact = ContactCheck(settings, contact_rule)
        manifests = _manifests(settings, layout, contact, layout.root / FRESH_MANIFESTS)
        with partitioned(settings, layout, _log.info, manifests) as listed:  # what is wrong is better said before
            contact.run_folder(listed)
            counted = load_partition_summary(listed)
            content = replace(content, rows=counted.input_rows)
            identity = with_list(None, content, settings)
            identity = replace(identity, batches=batch_keys(settings, counted.accepted_rows))
            texts = {layout.run_file.name: identity.to_json()}
            place = {STAGED: layout.structure.urls_folder, FRESH_MANIFESTS: layout.manifests.name}
            make_moves(layout.root, replace(moves, into_place=place, texts={**moves.texts, **texts}))
    else:
        make_moves(layout.root, moves)
    _log.info("reset=%s: removed %s", settings.reset, ", ".join(moves.away))


def _same_run(settings: Settings, layout: RunLayout, contact_rule: ContactRule) -> RunIdentity:
    """What the run is from now on.

    Raises:
        UserError: The folder holds a run of another list, or of pictures of another kind.
    """
    pictures = (load_identity(layout)[0] or RunIdentity()).pictures or earlier_pictures(layout)
    refuse_other_pictures(settings, layout, pictures)
    _mend_urls(settings, layout)
    if layout.batches_table.exists() and "partition" in settings.stages:
        from ray_downloader.partition.same_list import settle_list  # noqa: PLC0415 - loads DuckDB

        manifests = _manifests(settings, layout, ContactCheck(settings, contact_rule))
        settle_list(settings, layout, trash_name(time.time()), _log.info, manifests)
    return replace(load_identity(layout)[0] or RunIdentity(), pictures=picture_keys(settings))


def _mend_urls(settings: Settings, layout: RunLayout) -> None:
    """Remove damaged tables of URLs if the partition stage makes the same ones from the same list.

    Raises:
        RunFolderError: It would not, as far as is known.
    """
    problems = list(damaged_url_tables(layout))
    if not problems and not layout.batches_table.exists() and any(layout.images.glob("server_name=*")):
        problems = [f"{layout.batches_table} is missing"]
    identity = load_identity(layout)[0] or RunIdentity()
    if not problems and layout.batches_table.exists():
        accepted_rows = load_partition_summary(layout).accepted_rows
        expected = identity.batches.get(ACCEPTED, accepted_rows)
        if accepted_rows != expected:
            problems = [f"{layout.batches_table} has {accepted_rows} rows, and the run {expected}"]
    if not problems:
        return
    from ray_downloader.partition.content import content_of_list  # noqa: PLC0415

    is_same = (
        "partition" in settings.stages
        and bool(identity.batches)
        and not identity.batches.get("extended")
        and not changed_keys(identity.rows, row_keys(settings))
        and content_of_list(settings, layout, identity.listed).sha256 == identity.listed.sha256
    )
    if not is_same:
        raise RunFolderError(
            f"{'; '.join(problems)}: restore the folder {layout.urls} from a copy, or use another path_to_output. "
            "It is made anew only from the list as it was, if that was never extended and this version began the run"
        )
    for problem in problems:
        _log.warning("%s: %s is made anew from the list", problem, layout.urls)
    make_moves(layout.root, Moves(trash_name(time.time()), [layout.structure.urls_folder]))


def _partition(settings: Settings, layout: RunLayout, contact: ContactCheck) -> None:
    if "partition" in settings.stages and not layout.batches_table.exists():
        from ray_downloader.partition.content import content_of_list  # noqa: PLC0415

        identity = load_identity(layout)[0] or RunIdentity()
        content = content_of_list(settings, layout)
        if content.sha256 == identity.listed.sha256:  # its tables are made anew, and cut as they were
            settings = cut_as_before(settings, identity.batches)
        manifests = _manifests(settings, layout, contact)
        summary = partition(settings, layout, _log.info, contact.first_urls, manifests)
        _log.info(
            "partition: %d rows on %d servers in %d batches, %d rows rejected",
            summary.accepted_rows, summary.servers, summary.batches, summary.input_rows - summary.accepted_rows,
        )  # fmt: skip
        identity = with_list(identity, replace(content, rows=summary.input_rows), settings)
        save_identity(layout, replace(identity, batches=batch_keys(settings, summary.accepted_rows)))
    _note(layout, batched=True)


def _manifests(
    settings: Settings, layout: RunLayout, contact: ContactCheck, folder: Path | None = None
) -> DocumentReader:
    """Fetches manifests that the list names; only such lists load what that needs."""

    def read(urls: Sequence[str], target: Path) -> Mapping[str, str]:
        from ray_downloader.manifests.reader import ManifestReader  # noqa: PLC0415

        return ManifestReader(settings, layout, contact, _log.info, folder)(urls, target)

    return read


def _say_ignored(settings: Settings, layout: RunLayout) -> None:
    """A name in `ignored.csv` that the run does not know may be a typo; lists shared by several runs have others."""
    ignored = load_ignored_servers(layout)
    if not ignored or not layout.servers_table.exists():
        return
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, {})
    unknown = KnownServers.of_run(layout, policies).unknown(ignored)
    _log.info("%s: %d of its %d names are servers or groups of this run", layout.ignored_table.name,
              len(ignored) - len(unknown), len(ignored))  # fmt: skip
    if unknown:
        more = f" and {len(unknown) - SHOWN_NAMES} more" if len(unknown) > SHOWN_NAMES else ""
        _log.warning("%s: no server of this run is named %s%s", layout.ignored_table.name,
                     "; ".join(unknown[:SHOWN_NAMES]), more)  # fmt: skip


def _profile(settings: Settings, layout: RunLayout) -> None:
    if "profile" not in settings.stages:
        return
    if settings.cluster.name == "slurm":
        from ray_downloader.slurm.profile_step import run_profile_step as run_profile  # noqa: PLC0415
    else:
        from ray_downloader.profile import run_profile  # noqa: PLC0415 (a run without the stage needs no MPI)
    run_profile(settings, layout)
    _note(layout, profiled=True)


def _download(settings: Settings, layout: RunLayout, shown: _Shown, results: Results) -> ExitCode:
    """Fetch what is left, and show the result of the run.

    Raises:
        RuntimeError: Tasks died repeatedly at some batches; all others are finished.
    """
    if "download" not in settings.stages:
        return ExitCode.SETTLED
    retry = begin_retry(layout, settings.retry_errors, iso_time(time.time()))
    if not retry.is_finished:
        _log.info("errors of these kinds are retried, each row once: %s", ", ".join(map(str, retry.kinds)))
    refuse_damaged_results(layout, _verify(layout, shown.console) if settings.verify else {})
    listed = load_partition_summary(layout)
    begin_data_card(layout, settings, listed.input_rows, listed.input_rows - listed.accepted_rows)
    take_base(settings, layout, retry, shown.console)
    prepare_environment(settings.cluster)
    from ray_downloader.cluster.stage import download  # noqa: PLC0415 (Ray reads the environment on import)

    result = download(settings, layout, shown.console, shown.report, results.publish)
    if result.failure is not None:
        raise result.failure
    status = scan(layout, load_batches(layout), retry)
    if settings.image.placeholders == "reject" and not status.work and _reject_placeholders(layout):
        status = scan(layout, load_batches(layout), retry)
    progress = result.progress
    renditions = Renditions(
        progress.renditions, progress.rendition_bytes, progress.renditions_sized, progress.rendition_bytes_saved
    ).figures(load_profiled_sizes(layout))
    figures = StageFigures(result.seconds, result.images, result.size_bytes, progress.disallowed, renditions)
    before = None if result.seconds else load_summary(layout)
    summary = summarise(listed, status, figures, before)
    if settings.base and (plan := load_base_plan(layout)) is not None:
        summary["base"] = base_figures(replace(plan, runs=plan.places), status.reused, layout.vanished_file.name)
    describes_all = may_read_all(layout, is_stopped=result.is_stopped)
    citation = (load_summary(layout) or {}).get("citation")
    if describes_all and (citation := cite(layout, settings.path_to_input, citation)):
        _say_how_to_cite(citation)
    if citation:
        summary["citation"] = citation
    save_summary(layout, summary)
    write_data_card(layout, settings, summary)
    if describes_all:
        write_croissant(settings, layout, summary)
    shown.report.keep(figures_of(summary))
    show_summary(summary, shown.console, shown.again)
    _say_why(result, settings)
    is_settled = not summary["unsettled_rows"]
    if is_settled:
        finish_retry(layout, retry)
    _note(layout, downloaded=is_settled)
    if result.abandoned:
        raise RuntimeError("; ".join(result.abandoned))
    return ExitCode.SETTLED if is_settled else ExitCode.STOPPED


def _reject_placeholders(layout: RunLayout) -> int:
    """Make errors of pictures that a server sends for many links; returns how many."""
    from ray_downloader.tools.placeholders import LEAST_ALIKE, reject_placeholders  # noqa: PLC0415 - loads DuckDB

    rejected = reject_placeholders(layout)
    if rejected:
        _log.info("image.placeholders=reject: %d images are errors (not_image), as their server sends the same picture "
                  "for at least %d links; the tool link_health lists them", rejected, LEAST_ALIKE)  # fmt: skip
    return rejected


def _verify(layout: RunLayout, console: Console) -> dict[Path, list[str]]:
    """Compare every stored picture with its checksum; what is damaged is left to do from now on.

    Returns:
        What is wrong with batches, in sentences.
    """
    folders = [layout.batch_folder(batch.server_name, batch.partition_id) for batch in load_batches(layout)]
    replaced = replaced_batches(layout)
    damaged: dict[Path, list[str]] = {}
    checked = show_units(verify(folders, replaced), "verify", len(folders), 0, console)
    for folder, problems in zip(folders, checked, strict=True):
        if problems:
            damaged[folder] = problems
        for problem in problems if folder not in replaced else ():
            _log.warning("%s; what it has lost is fetched again", problem)
    _log.info("verify: %d batches, %d of them damaged", len(folders), len(damaged))
    return damaged


def _say_how_to_cite(citation: Mapping[str, Any]) -> None:
    doi = citation["download_doi"]
    origin = f"the download https://doi.org/{doi}" if doi else "the DOI of the download (it is on its page at GBIF)"
    _log.info("%s: %d datasets; to cite them, upload it to https://www.gbif.org/derived-dataset and name %s",
              citation["file"], citation["datasets"], origin)  # fmt: skip


def _say_why(result: DownloadResult, settings: Settings) -> None:
    """Report what a user should know about a run in which our own network may have been at fault."""
    check = "check this machine's network, its DNS, and whether it needs a proxy (network.proxy=...)"
    if result.is_outage:
        patience_s = settings.network.outage_patience_s
        again = same_command(settings)
        _log.error("no server could be reached for %g s: %s; then %s continues", patience_s, check, again)
    elif not result.progress.answered and result.progress.unreached:
        _log.warning("not one server answered in this run; if they should have, %s", check)


def _note(layout: RunLayout, **done: bool) -> None:
    """Keep the checkpoint file of legacy projects; nothing depends on it, the files themselves show what is done."""
    path = layout.checkpoint_file
    try:
        known = read_object(path)
    except (OSError, ValueError):
        known = {}
    if {**known, **done} != known:
        write_text(path, json.dumps({**known, **done}, indent=2) + os.linesep)
