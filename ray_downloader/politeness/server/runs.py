"""Runs of failures: several distinct URLs in a row reveal more about their server than a single answer. Pure."""

from __future__ import annotations

from ray_downloader.politeness.server.evidence import Evidence
from ray_downloader.politeness.server.own_faults import OwnFaults

#: Googlebot slows down on a "significant number" of 5xx; a single 500 concerns only its file.
TROUBLE_RUN = 10
#: 403 "so often just means forbidden" (StormCrawler), yet some servers use it for limits (Nutch): only a run counts.
FORBIDDEN_RUN = 5
#: Refusals in a row by a server whose refusals are noise, until it is known how frequent they are.
REFUSED_RUN = 2
#: Failures to connect or resolve are not about a URL: this many in a row, for whichever URLs.
UNREACHED_RUN = 5
#: This many redirects or robots.txt in a row end a run of failures, although no file came: the files are elsewhere.
HOPS_FOR_A_FILE = 10


class DistinctUrls:
    """URLs that failed; a URL without identity (hash 0) counts each time."""

    __slots__ = ("_hashes", "_unnamed")

    def __init__(self) -> None:
        self.clear()

    def __len__(self) -> int:
        return len(self._hashes) + self._unnamed

    def __contains__(self, url_hash: int) -> bool:
        return url_hash in self._hashes

    def add(self, url_hash: int) -> bool:
        """Add one; returns True if it was not in the set."""
        before = len(self)
        if url_hash:
            self._hashes.add(url_hash)
        else:
            self._unnamed += 1
        return len(self) > before

    def clear(self) -> None:
        """Forget all."""
        self._hashes: set[int] = set()
        self._unnamed = 0


class Runs:
    """Failures in a row, with nothing served in between."""

    __slots__ = ("_failed", "_forbidden", "_hops", "_refused", "_unreached", "files", "own")

    def __init__(self, files: int = 0) -> None:
        self._failed, self._forbidden, self._refused = DistinctUrls(), DistinctUrls(), DistinctUrls()
        self._unreached = 0
        self._hops = 0
        self.own = OwnFaults()
        #: Files that the server has ever delivered.
        self.files = files

    @property
    def is_empty(self) -> bool:
        """Whether nothing has failed since the last file."""
        return not (len(self._failed) or len(self._forbidden) or len(self._refused) or self._unreached)

    def is_complete_with(self, evidence: Evidence, url_hash: int) -> bool:
        """Add one answer; returns True if it completes a run, which then starts afresh."""
        self._hops = self._hops + 1 if evidence is Evidence.HOP else 0
        if evidence in {Evidence.SERVED, Evidence.ANSWERED} or self._hops >= HOPS_FOR_A_FILE:
            self._end_well(evidence, url_hash)
            return False
        if evidence in {Evidence.HOP, Evidence.REFUSED, Evidence.FORBIDDEN}:
            self._unreached = 0
        if evidence is Evidence.UNREACHED:
            self._unreached += 1
        elif evidence is Evidence.FAILED:
            self._failed.add(url_hash)
        elif evidence is Evidence.FORBIDDEN:
            self._forbidden.add(url_hash)
        return self._ends()

    def is_noise_with(self, url_hash: int) -> bool:
        """Add a refusal; returns True if no more came in a row than come at random."""
        is_new = self._refused.add(url_hash)
        return self.own.is_noise and is_new and len(self._refused) < self.own.needed(Evidence.REFUSED, REFUSED_RUN)

    def _ends(self) -> bool:
        is_ban = len(self._forbidden) >= self.own.needed(Evidence.FORBIDDEN, FORBIDDEN_RUN)
        is_trouble = len(self._failed) >= self.own.needed(Evidence.FAILED, TROUBLE_RUN)
        if is_ban or is_trouble or self._unreached >= UNREACHED_RUN:
            self.clear()
            return True
        return False

    def _end_well(self, evidence: Evidence, url_hash: int) -> None:
        self.own.passed(Evidence.FAILED, len(self._failed))
        self.own.passed(Evidence.FORBIDDEN, len(self._forbidden))
        if self.own.is_noise:
            self.own.passed(Evidence.REFUSED, len(self._refused))
        if evidence is Evidence.SERVED:
            self.files += 1
            self.own.served(url_hash)
        self.clear()

    def clear(self) -> None:
        """Start afresh."""
        self._failed.clear()
        self._forbidden.clear()
        self._refused.clear()
        self._unreached = 0
