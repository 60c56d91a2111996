"""What robots.txt says of the rows that a task holds: fetched once a server, kept for a day in the run folder.

`delay` honours Crawl-delay and counts what Disallow would exclude, `obey` excludes it, `ignore` asks for nothing.
The request for robots.txt is an robots_request in the server's queue, so it spends the budget like any other.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchResult
from ray_downloader.politeness.headers.robots import MAX_ROBOTS_BYTES, RobotsRules
from ray_downloader.politeness.headers.user_agent import PRODUCT_TOKEN
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import folder_name
from ray_downloader.worker.batch_work import Job
from ray_downloader.worker.request_policy import Route

Mode = Literal["delay", "obey", "ignore"]

#: RFC 9309 section 2.4: a cached robots.txt should not be used for longer than a day.
KEEP_S = 24 * 3600.0
#: RFC 9309 section 2.3.1.2: at least five hops are followed.
MAX_HOPS = 5
#: Servers with fewer rows in a task are not asked in mode `delay`: there is next to nothing to delay.
WORTHWHILE_ROWS = 5
#: The rows of a server that cannot be reached are to end with that reason, not as excluded.
_UNREACHABLE = frozenset({ErrorKind.DNS, ErrorKind.CONNECT, ErrorKind.TLS, ErrorKind.FORBIDDEN_ADDRESS})


class Admission(Enum):
    """What becomes of a job."""

    ADMITTED = "admitted"
    HELD = "held"
    EXCLUDED = "excluded"


@dataclass(slots=True, eq=False)
class RobotsRequest:
    """The request for one server's robots.txt."""

    server: str
    route: Route
    hops: int = 0


class RobotsGate:
    """Admits jobs of servers whose robots.txt is known, and holds the others back until it is.

    Args:
        mode: `politeness.robots`.
        folder: Where the files are kept, for all tasks and for later runs.
        now_unix_s: Time of the start, to tell how old a kept file is.
    """

    def __init__(self, mode: Mode, folder: Path, now_unix_s: float) -> None:
        #: Rows that Disallow would exclude, by server (mode `delay`).
        self.disallowed: Counter[str] = Counter()
        self._mode = mode
        self._folder = folder
        self._now_unix_s = now_unix_s
        self._rules: dict[str, RobotsRules | None] = {}
        self._held: defaultdict[str, list[Job]] = defaultdict(list)

    def admit(self, job: Job, route: Route, rows_of_server: int) -> Admission:
        """Decide about a job; a held one comes back from `learn`."""
        if self._mode == "ignore" or not self._is_worth_asking(route.server, rows_of_server):
            return Admission.ADMITTED
        if route.server not in self._rules:
            self._held[route.server].append(job)
            return Admission.HELD
        rules = self._rules[route.server]
        if rules is None or rules.can_fetch(route.url):
            return Admission.ADMITTED
        self.disallowed[job.server] += len(job.rows.numbers)
        return Admission.EXCLUDED if self._mode == "obey" else Admission.ADMITTED

    def _is_worth_asking(self, server: str, rows: int) -> bool:
        if server not in self._rules:
            self._recall(server)
        return server in self._rules or self._mode == "obey" or rows >= WORTHWHILE_ROWS

    def needs_request(self, server: str) -> bool:
        """Whether the job just held back is the server's first, so that robots.txt is to be fetched."""
        return len(self._held[server]) == 1

    def learn(self, robots_request: RobotsRequest, result: FetchResult | None) -> list[Job]:
        """Take in what the request came to (None: it was never sent); returns the jobs held for it."""
        if result is None or result.kind in _UNREACHABLE:
            self._rules[robots_request.server] = None
        else:
            self._rules[robots_request.server] = RobotsRules.from_answer(result.status, result.body, PRODUCT_TOKEN)
            self._keep(robots_request.server, result)
        return self._held.pop(robots_request.server, [])

    def crawl_delay_s(self, server: str) -> float | None:
        """Time between requests that the server asks for."""
        rules = self._rules.get(server)
        return rules.crawl_delay_s if rules else None

    def _file(self, server: str) -> Path:
        return self._folder / f"{folder_name(server)}.json"

    def _keep(self, server: str, result: FetchResult) -> None:
        text = result.body[:MAX_ROBOTS_BYTES].decode("utf-8-sig", "replace")
        document = {"fetched_at_unix_s": self._now_unix_s, "status": result.status, "text": text}
        write_text(self._file(server), json.dumps(document) + "\n")

    def _recall(self, server: str) -> None:
        try:
            document = json.loads(self._file(server).read_text("utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return
        if self._now_unix_s - document["fetched_at_unix_s"] < KEEP_S:
            body = document["text"].encode()
            self._rules[server] = RobotsRules.from_answer(document["status"], body, PRODUCT_TOKEN)


def robots_url(url: str) -> str:
    """Where the robots.txt lies that governs `url`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/robots.txt"
