"""The rule that a run which contacts other people's servers names its contact, and the one exception to it.

A legacy configuration cannot name a contact, so such a run is warned while others are refused
(docs/decisions/0007-contact-of-a-legacy-configuration.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ray_downloader.config.legacy_yaml import is_legacy
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.fetch.public import first_public
from ray_downloader.partition.batches import load_server_names
from ray_downloader.partition.server_key import BadUrlError, server_key
from ray_downloader.politeness.headers.user_agent import user_agent
from ray_downloader.run_folder.layout import RunLayout

_log = logging.getLogger(__name__)

#: Called with a public server that a run without a contact would send requests to.
ContactRule = Callable[[str], None]


def require_contact(server: str) -> None:
    """The rule.

    Raises:
        UserError: Always.
    """
    raise UserError(
        f"politeness.contact is required, as this run sends requests to public servers ({server}, ...) and their "
        "operators block clients that they cannot write to: set politeness.contact=you@example.org (for the User-Agent)"
    )


def recommend_contact(server: str) -> None:
    """The exception: the run continues under the program's own name."""
    _log.warning(
        "this run sends requests to public servers (%s, ...) as %r; operators block clients that they cannot write to: "
        "add `politeness: {contact: you@example.org}` to the YAML file, which the User-Agent will name",
        server, user_agent(None),
    )  # fmt: skip


def contact_rule(given: Mapping[str, Any]) -> ContactRule:
    """The rule that applies to a YAML file with these keys."""
    return recommend_contact if is_legacy(given) else require_contact


class ContactCheck:
    """Applies the rule, once, if the run names no contact and one of its servers is on the public internet.

    The beginning of a list is checked before its partition, which may take an hour; the whole of it afterwards.

    Args:
        settings: Of the run.
        rule: Called with a public server.
    """

    def __init__(self, settings: Settings, rule: ContactRule) -> None:
        sends = settings.mode == "run" and bool({"profile", "download"} & set(settings.stages))
        self._has_contact = bool(settings.politeness.contact)
        self._is_open = sends and not self._has_contact
        self._network = settings.network
        self._rule = rule

    def first_urls(self, urls: Callable[[], Iterable[str]]) -> None:
        """Check the servers of some URLs, which are only read if a contact is missing."""
        if self._is_open:
            self.servers(filter(None, map(_server_of, urls())))

    def run_folder(self, layout: RunLayout) -> None:
        """Check all servers of a partitioned list."""
        if self._is_open:
            self.servers(load_server_names(layout))

    def documents(self, names: Iterable[str]) -> None:
        """Check the servers of documents that the list names, which are fetched in every mode."""
        server = None if self._has_contact else first_public(names, self._network)
        if server is not None:
            self._is_open = False
            self._rule(server)

    def servers(self, names: Iterable[str]) -> None:
        """Check servers."""
        server = first_public(names, self._network) if self._is_open else None
        if server is not None:
            self._is_open = False
            self._rule(server)


def _server_of(url: str) -> str:
    try:
        return server_key(url)
    except BadUrlError:
        return ""
