"""Numbers that a standard, a document of ours or a measurement fixes, written out: none of them changes by a slip.

A published one changes with its standard, a documented one with `docs/` and the README, a measured one with a new
measurement beside it in the code.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType

import pytest

import ray_downloader
from ray_downloader.cluster import crashes, head_watch
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch import answer, body, cookies, curl, curl_errors, names, receiver, requests, signature
from ray_downloader.output import citation, croissant, data_card, frames, journal, parquet, time_left
from ray_downloader.partition import (
    batch_plan,
    database,
    documents,
    kept,
    refused,
    rows,
    run,
    scan,
    server_key,
    stage,
)
from ray_downloader.politeness import outage, retry
from ray_downloader.politeness.headers import moments, ratelimit, retry_after, robots, usage, x_robots_tag
from ray_downloader.politeness.leases import allocator, holders, pacer, timeline
from ray_downloader.politeness.server import (
    backoff,
    ceiling,
    condition,
    connections,
    controls,
    first_visits,
    goodput,
    group_hosts,
    latency,
    lessons,
    limit_fit,
    limiters,
    name_watch,
    noise,
    outage_probes,
    own_faults,
    patience,
    probe,
    quota,
    rate,
    reading,
    runs,
    state,
)
from ray_downloader.politeness.server import evidence as server_evidence
from ray_downloader.run_folder import atomic, identity, layout, lease_file, server_states
from ray_downloader.schedule import eta, planner
from ray_downloader.slurm import head_loss, requeue
from ray_downloader.tools import placeholders, queries
from ray_downloader.tools.builtin import attribution, export_card, hamming, link_health, shards, stats
from ray_downloader.worker import (
    batch_work,
    budgets,
    evidence,
    kept_states,
    loop,
    parked_hosts,
    progress,
    renditions,
    request_policy,
    robots_gate,
    robots_store,
    row,
    server_queue,
    spacing,
    suspects,
)

#: Every public number of these rooms is in one of the tables below.
ROOMS = ("politeness", "worker", "schedule", "fetch", "partition", "output", "run_folder")

PUBLISHED = [
    (robots, {"MAX_ROBOTS_BYTES": 512_000}),  # RFC 9309, section 2.5
    (robots_gate, {"MAX_HOPS": 5}),  # RFC 9309, section 2.3.1.2
    (robots_store, {"KEEP_S": 86_400.0, "KEEP_FAILURE_S": 600.0, "FILES": 64}),  # RFC 9309, section 2.4
    (server_key, {"_MAX_HOST_LENGTH": 253}),  # RFC 1035, section 2.3.4
    (cookies, {"MAX_COOKIE_BYTES": 4096, "MAX_COOKIES": 50}),  # RFC 6265, section 6.1
    (quota, {"HOUR_S": 3600.0, "HOURS_KEPT": 24}),
    (
        curl_errors,  # libcurl's error codes
        {
            "COULD_NOT_RESOLVE": 6,
            "COULD_NOT_CONNECT": 7,
            "WRITE_REFUSED": 23,
            "OUT_OF_MEMORY": 27,
            "TIMED_OUT": 28,
            "SENT_TWICE": 42,
            "CERTIFICATE_REFUSED": 60,
        },
    ),
]
DOCUMENTED = [
    (retry_after, {"MAX_RETRY_AFTER_S": 86_400.0}),
    (robots, {"MAX_CRAWL_DELAY_S": 300.0}),
    (x_robots_tag, {"OPT_OUT_ANSWERS": 10}),
    (retry, {"RETRY_SHARE": 0.1, "RETRY_ALLOWANCE": 10, "BASE_S": 0.5, "MAX_BACKOFF_S": 60.0}),
    (
        backoff,
        {
            "FIRST_PAUSE_S": 60.0,
            "MAX_PAUSE_S": 86_400.0,
            "FORGIVEN_AFTER_S": 1_800.0,
            "JITTER_SHARE": 0.1,
            "FIRST_SECONDS_S": 2.0,
            "MAX_SECONDS_S": 60.0,
            "LEAST_SECONDS_S": 0.2,
        },
    ),
    (
        runs,
        {
            "TROUBLE_RUN": 10,
            "FORBIDDEN_RUN": 5,
            "UNREACHED_RUN": 5,
            "HOPS_FOR_A_FILE": 10,
            "REFUSED_RUN": 2,
        },
    ),
    (ceiling, {"MAX_CRAWL_DELAY_S": 86_400.0, "CRAWL_DELAY_KEPT_S": 86_400.0, "LONG_DELAY_S": 5.0}),
    (
        condition,
        {
            "LEAST_SAMPLE": 14,
            "SAMPLE_PAUSE_S": 2.0,
            "SAMPLE_PAUSE_SHARE": 1 / 30,
            "SILENT_PROBES": 3,
            "STRIKES": 3,
            "NEW_PROBES": 2,
            "FORBIDDEN_SAMPLE": 40,
            "PROBE_AFTER_S": 5.0,
            "HOPS_TO_RECOVER": 3,
            "MAX_PROBE_DELAY_S": 1_800.0,
            "LOGGED": 100,
            "LOG_SHOWN": 10,
            "FIRST_DELAY_S": 5.0,
            "ONLY_URL_FAILURES": 3,
            "MOST_COMPARISONS": 2,
            "MOST_BY_ONE_URL_S": 3_600.0,
        },
    ),
    (connections, {"RAISE_AFTER_S": 60.0, "RAISE_AFTER_FILES": 50, "MAX_DOUBLINGS": 6}),
    (first_visits, {"SHOWN": 2, "SOONER_SHARE": 0.5, "REMEMBERED": 256}),
    (lessons, {"KEPT": 16}),
    (controls, {"KEPT": 8}),
    (server_evidence, {"FORBIDDEN_STATUS": 403}),
    (own_faults, {"ACCIDENT": 1e-3, "MOST_NEEDED": 40, "REMEMBERED": 1000, "AWAITED": 256, "USED_TO_IT": 3}),
    (own_faults, {"SHARE_IF_ALL": 0.5, "LEAST_WAIT_SHARE": 0.02, "TOO_MANY_WAITS": 2.9}),
    (probe, {"PROBE_TIMEOUT_S": 60.0}),
    (group_hosts, {"PROBE_VALID_S": 5.0, "RECHECK_S": 2.0}),
    (name_watch, {"LOOK_UPS": 3, "OVER_S": 30.0, "REMEMBERED_S": 10.0}),
    (outage, {"LEAST_SERVERS": 3, "LEAST_LOOK_UPS": 3, "LEAST_S": 5.0, "WINDOW_S": 60.0}),
    (moments, {"A_DAY_S": 86_400.0}),
    (quota, {"LAPSE_CHECK_S": 1.0, "LOST_AFTER_S": 600.0}),
    (
        patience,
        {
            "NEVER_ANSWERED_S": 120.0,
            "LEAST_S": 0.5,
            "CHECKS": 20,
            "LEAST_CHECK_S": 0.25,
            "OVERTIME_SHARE": 0.5,
            "PROBES": 5,
        },
    ),
    (outage_probes, {"FIRST_DELAY_S": 1.0, "LONGEST_DELAY_S": 10.0}),
    (rate, {"BACK_OFF": 0.5, "MIN_RATE_RPS": 1 / 60, "MEASURED_TO_ASKED": 1.05}),
    (state, {"UNSAVED_S": 4.0, "FRESH_S": 300.0, "MAX_HINT_S": 3600.0}),
    (reading, {"OTHERS_ANSWERED_S": 5.0}),
    (answer, {"ERROR_PAGE_BYTES": 65_536, "SAID_LENGTH": 200}),
    (batch_plan, {"MAX_OWN_SERVERS": 10_000, "LEAST_PIECES": 8, "LEAST_PIECE_ROWS": 500}),
    (
        evidence,
        {
            "SERVERS_FAULT_ROWS": 10,
            "CONTROLS_FOR_ODD": 2,
            "BY_CHANCE": 0.01,
            "LOST_BY_CHANCE": 1e-4,
            "ASSUMED_ROWS": 6.0,
            "ASSUMED_REFUSED": 0.5,
            "MOST_REFUSALS": 8,
            "SHORTENED": 0.5,
            "REMEMBERED": 200,
        },
    ),
    (spacing, {"APART_S": 10.0, "REMEMBERED": 32, "SAME_PACE": 1.25}),
    (suspects, {"CAREFUL_FROM": 2, "BLAMED_AFTER": 3}),
    (crashes, {"MAX_CRASHES": 24, "ALONE_FROM": 2}),
    (head_watch, {"HEAD_PATIENCE_S": 6.0}),
    (head_loss, {"POLL_INTERVAL_S": 10.0}),
    (requeue, {"MAX_IDLE_RUNS": 3}),
    (request_policy, {"ODD_DELAY_S": 10.0}),
    (server_queue, {"MOST_RECALLED": 16}),
    (server_queue, {"ALONE_403_DELAY_S": 60.0, "LONG_WAIT_S": 3_600.0, "LEAST_COMPARED": 2, "BAN_S": 20.0}),
    (row, {"STALE_REDIRECT_S": 60.0}),
    (renditions, {"REFUSED_AFTER": 3}),
    (robots_gate, {"MOST_PARSED": 2_000, "UNREACHED_TRIES": 2}),
    (parked_hosts, {"PROBE_TIMEOUT_S": 60.0}),
    (loop, {"DRAIN_GRACE_S": 10.0, "SLOW_S": 10.0, "PAUSED_RECHECK_S": 5.0, "ROOM_RECHECK_S": 0.02}),
    (names, {"REMEMBERED_S": 10.0}),
    (lease_file, {"HEARTBEAT_S": 5.0, "STALE_AFTER_S": 20.0}),
    (refused, {"MAX_LINE_LENGTH": 2_000}),
    (stage, {"FIRST_URLS": 1_000}),
    (identity, {"VERSION": 1}),
    (atomic, {"PRIVATE": 0o600}),
    (server_states, {"FEW_STATES": 500}),
    (budgets, {"MOST_SNAPSHOTS": 5_000, "_NUMBERS": 4_294_967_296}),
    (kept_states, {"UNPACKED": 10_000, "REST_S": 30.0, "PACKED_AT_ONCE": 4}),
]
MEASURED = [
    (answer, {"_WORDS_BYTES": 16_384}),
    (backoff, {"_CLOCK_ERROR_S": 1e-3}),
    (citation, {"_MOST_BYTES": 16_777_216}),
    (croissant, {"_MOST_VALUES": 100}),
    (curl, {"_INQUIRY_POLL_S": 0.01, "_MOST_DOUBTFUL": 100_000}),
    (data_card, {"_SHOWN_SERVERS": 20}),
    (goodput, {"_KEPT": 256}),
    (layout, {"_LONGEST_NAME": 200}),
    (pacer, {"_DUE_S": 1e-9}),
    (quota, {"_SIZE_WEIGHT": 0.1}),
    (scan, {"_MAX_JSON_LINE_BYTES": 33_554_432}),
    (signature, {"_VALID_S": 300}),
    (usage, {"_MAX_STATEMENT": 200}),
    (curl, {"KEPT_CONNECTIONS": 640, "DNS_CACHE_S": 3600, "BUFFER_BYTES": 131_072}),
    (body, {"READ_BYTES": 65_536, "ROOM_POLL_S": 0.05}),
    (rows, {"ROW_GROUPS_PER_FILE": 256}),
    (
        allocator,
        {
            "SHARED_S": 0.4,
            "LEAD_S": 1.0,
            "LEAD_SHARE": 0.5,
            "RECHECK_S": 0.25,
            "UNLIMITED_S": 30.0,
            "NEWCOMERS_SHARE": 4,
        },
    ),
    (holders, {"HOLDER_TIMEOUT_S": 30.0, "ACTIVE_S": 2.0, "TRANSFER_TIMEOUT_S": 330.0}),
    (noise, {"CLOSEST_SHARE": 0.2, "TIE_SHARE": 1e-6, "MIN_ANSWERED": 12, "REFUSALS_BACK": 3, "MIN_COMPARED": 5}),
    (noise, {"LEAST_COMPARED": 16}),
    (noise, {"UNEXPLAINED": 3.0, "EXPLAINED": -0.5, "IS_NOISE": 3.0, "LEAST_SCORE": -3.0, "MOST_SCORE": 6.0}),
    (pacer, {"RENEW_AT": 1 / 3, "HEARTBEAT_S": 5.0, "ANSWER_TIMEOUT_S": 10.0}),
    (
        timeline,
        {
            "SLACK_SHARE": 0.05,
            "MIN_SLACK_S": 0.005,
            "MAX_SLACK_S": 0.5,
            "ALONE_SLACK_S": 0.3,
            "ARRIVAL_JITTER_S": 0.0025,
            "FAST_MARGIN_RPS": 1.5,
            "LEAST_FAST_MARGIN": 0.02,
        },
    ),
    (goodput, {"WINDOW_S": 1.0, "MIN_SUCCESSES": 8}),
    (latency, {"WINDOW": 20, "REMEMBERED": 32}),
    (
        limit_fit,
        {
            "KEPT": 1024,
            "MEAN_OF": 256,
            "MIN_ANSWERED": 8,
            "CLEARLY_NEARER": 1.12,
            "MOST_OVER_WINDOW": 1.5,
            "MOST_UNPROVEN": 1.3,
        },
    ),
    (
        limiters,
        {"WINDOW_S": 1.0, "PHASES": 20, "TOKEN_TOLERANCE": 0.1, "BUCKET_TOLERANCE": 1.025, "DEPTH_TOLERANCE": 1.25},
    ),
    (
        rate,
        {
            "DOUBLING_S": 0.7,
            "DOUBLING_SUCCESSES": 8,
            "RECOVERY_S": 0.3,
            "PLATEAU_SHARE": 0.95,
            "PLATEAU_S": 60.0,
            "PLATEAU_SUCCESSES": 1000,
            "MAX_PLATEAU_FACTOR": 16,
            "PROBING_S": 20.0,
            "PROBING_SUCCESSES": 200,
            "CONFIRMS_WITHIN": 0.2,
            "USED_SHARE": 0.5,
            "LATENCY_BACK_OFF": 0.95,
            "IN_A_ROW_S": 30.0,
            "DEEPER_BY": 0.25,
            "COSTLY_PAUSE_S": 30.0,
            "FIRST_COSTLY_PLATEAU_FACTOR": 2,
            "COSTLY_PLATEAU_FACTOR": 40,
            "COSTLY_PROBING_FACTOR": 10,
            "PROVEN_SHARE": 0.97,
            "PROVEN_SUCCESSES": 1000,
            "REFILL_S": 2.0,
            "MOST_DOUBLING_S": 30.0,
            "MOST_PLATEAU_S": 3_600.0,
            "MOST_PROBING_S": 600.0,
            "LEAST_SUCCESSES": 2,
            "MEASURING_SHARE": 0.25,
            "LEAST_SUSPECT_RPS": 0.5,
            "MOST_INEXPLICABLE": 6,
            "MOST_TAKEN_BACK": 16,
            "OTHERS_COMPARED": 64,
        },
    ),
    (state, {"SETTLED_LEASE_S": 2.0, "MOVING_LEASE_S": 0.25, "BUSY_WEIGHT": 0.05, "CONNECTION_HEADROOM": 1.15}),
    (
        eta,
        {
            "WINDOW_SHARE": 1 / 3,
            "LEAST_WINDOW_S": 15.0,
            "SAMPLES": 8,
            "PRIOR_ROWS": 5,
            "SEVERAL_PAUSES": 3,
            "CHANCE_PAUSES": 0.5,
            "LAST_PAUSES": 4,
            "QUIET_INTERVALS": 2.0,
        },
    ),
    (progress, {"SILENT_S": 10.0}),
    (journal, {"FLUSH_BYTES": 2_097_152, "FLUSH_ROWS": 32}),
    (parquet, {"MAX_GROUP_BYTES": 33_554_432, "SMALL_BATCH_BYTES": 65_536, "JOINED_BATCHES": 64}),
    (time_left, {"MOST_BATCHES_OF_A_STOPPED_RUN": 5_000}),
    (requests, {"THREADS": 32, "POOLS": 256}),
    (planner, {"CORE_RPS": 450.0, "MAX_BATCHES": 256, "LOOK_AHEAD": 1000, "LEAST_SLICE_S": 15.0, "SOON_S": 5.0}),
    (
        receiver,
        {
            "MOST_IN_MEMORY_BYTES": 16_777_216,
            "MEMORY_BYTES": 67_108_864,
            "SCRATCH_BYTES": 4_294_967_296,
            "LEAST_FREE_BYTES": 67_108_864,
            "MAX_RATIO": 100,
            "ANY_RATIO_BYTES": 16_777_216,
        },
    ),
    (server_queue, {"REPORT_INTERVAL_S": 1.0, "MOST_CONNECTING_S": 0.025, "ALONE_403_DELAY_S": 60.0}),
    (
        loop,
        {
            "MAX_IN_FLIGHT": 256,
            "FEW_IN_FLIGHT": 16,
            "PROGRESS_INTERVAL_S": 1.0,
            "FLUSH_INTERVAL_S": 0.1,
            "AWAIT_ANSWER_S": 0.003,
            "IDLE_POLL_S": 0.05,
        },
    ),
    (batch_work, {"ASSIGNED_ROWS": 16_384, "LOW_WATER_SHARE": 4}),
    (database, {"_MAX_MEMORY_BYTES": 2_147_483_648}),
    (queries, {"_MAX_MEMORY_BYTES": 4_294_967_296}),
    (documents, {"_SHOWN": 5}),
    (frames, {"_MOST_PARTS": 1_000}),
    (journal, {"_LARGE_BYTES": 8_388_608}),
    (kept, {"_MAX_NAMES": 60}),
    (lease_file, {"_POLL_S": 0.5, "_RECORD_BYTES": 512}),
    (limiters, {"_SPAN": 8.0, "_HALVINGS": 10}),
    (parquet, {"_BLOOM_FPP": 0.01, "_LEVEL": 1}),
    (run, {"_MAX_SENTENCES": 10}),
    (spacing, {"_SENT_S": 0.001}),
    (attribution, {"SHOWN_GROUPS": 1_000}),
    (export_card, {"_SHEET_IMAGES": 48, "_MAX_LICENSES": 50, "_MAX_CLASSES": 100}),
    (hamming, {"BITS": 64, "_MAX_SHARED": 4}),
    (link_health, {"_SHOWN": 500, "_SHOWN_EXAMPLES": 20}),
    (placeholders, {"LEAST_ALIKE": 10}),
    (shards, {"_MAX_KEY": 80}),
    (stats, {"SHOWN_SERVERS": 25}),
]
#: Several numbers each.
TABLES: list[tuple[ModuleType, dict[str, object]]] = [
    (answer, {"_REDIRECTS": {300, 301, 302, 303, 307, 308}}),
    (batch_work, {"CHUNK_ROWS": (64, 512)}),
    (limiters, {"DEPTHS": (2.0, 5.0, 10.0), "DEPTHS_S": (0.5, 1.0, 2.0, 5.0, 10.0)}),
    (moments, {"_UNIX_UNITS": ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (1e9, 1.0))}),
    (
        ratelimit,
        {"_UNITS_S": {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "month": 2_592_000.0}},
    ),
    (retry, {"MAX_REQUESTS": {ErrorKind.CHECKSUM_MISMATCH: 2}}),
    (robots_gate, {"RETRY_DELAYS_S": (2.0, 10.0, 30.0)}),
    (row, {"_NO_SUCH_VERSION": {400, 403, 404, 405, 501}, "_EXPIRED": {401, 403, 404, 410}}),
    (
        server_evidence,
        {"_REFUSALS": {420, 429, 503, 509, 529}, "_MAY_ASK_TO_WAIT": {202, 403, 408, 413, 420, 425, 429}},
    ),
    (server_key, {"_DEFAULT_PORTS": {"http:": 80, "https:": 443}}),
    (spacing, {"SCALES": (1, 2, 3, 4, 5, 6, 7, 8, 13, 21)}),
]


@pytest.mark.parametrize(
    ("module", "numbers"),
    [*PUBLISHED, *DOCUMENTED, *MEASURED, *TABLES],
    ids=lambda given: given.__name__ if isinstance(given, ModuleType) else "",
)
def test_the_numbers_are_those_that_were_decided(module: ModuleType, numbers: dict[str, object]) -> None:
    assert {name: getattr(module, name) for name in numbers} == numbers


def public_numbers(path: Path) -> set[str]:
    """Names of the numbers at the top of a module, `NAME = 60.0`, whose name is not private."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        is_arithmetic = all(
            isinstance(part, ast.Constant | ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop)
            and isinstance(getattr(part, "value", 0), int | float)
            for part in ast.walk(node.value)
        )
        if is_arithmetic and re.fullmatch("[A-Z][A-Z0-9_]*", node.targets[0].id):
            found.add(node.targets[0].id)
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_no_number_is_missing_here(room: str) -> None:
    pinned: dict[str, set[str]] = {}
    for module, numbers in [*PUBLISHED, *DOCUMENTED, *MEASURED]:
        pinned.setdefault(module.__name__, set()).update(numbers)
    package = Path(ray_downloader.__file__).parent
    missing = {}
    for path in sorted((package / room).rglob("*.py")):
        name = ".".join(("ray_downloader", *path.relative_to(package).with_suffix("").parts))
        left = public_numbers(path) - pinned.get(name, set())
        if left:
            missing[name] = left
    assert not missing
