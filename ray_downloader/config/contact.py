"""The rule that a run which asks servers of other people names its contact, and the one exception from it.

A configuration of the legacy project cannot name one, so such a run is warned where others are refused
(docs/decisions/0007-contact-of-a-legacy-configuration.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ray_downloader.config.legacy_yaml import is_legacy
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.fetch.public import first_public
from ray_downloader.partition.batches import load_server_names
from ray_downloader.politeness.headers.user_agent import user_agent
from ray_downloader.run_folder.layout import RunLayout

_log = logging.getLogger(__name__)

#: Is told a public server that would be asked by a run without a contact.
ContactRule = Callable[[str], None]


def require_contact(server: str) -> None:
    """The rule.

    Raises:
        UserError: Always.
    """
    raise UserError(
        f"politeness.contact is required, as this run asks public servers ({server}, ...) and their operators "
        "block clients that they cannot write to: set politeness.contact=you@example.org (for the User-Agent)"
    )


def recommend_contact(server: str) -> None:
    """The exception: the run goes on under the program's own name."""
    _log.warning(
        "this run asks public servers (%s, ...) as %r, and operators block clients that they cannot write to: add "
        "`politeness: {contact: you@example.org}` to the YAML file, which the User-Agent will name",
        server, user_agent(None),
    )  # fmt: skip


def contact_rule(given: Mapping[str, Any]) -> ContactRule:
    """What holds for a YAML file with these keys."""
    return recommend_contact if is_legacy(given) else require_contact


def check_contact(settings: Settings, layout: RunLayout, rule: ContactRule) -> None:
    """Apply the rule if the run names no contact and one of its servers is on the public internet."""
    if settings.politeness.contact or not {"profile", "download"} & set(settings.stages):
        return
    server = first_public(load_server_names(layout), settings.network)
    if server is not None:
        rule(server)
