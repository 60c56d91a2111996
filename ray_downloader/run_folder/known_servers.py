"""The servers and groups that a run knows, found by any spelling that a person uses; a miss names similar ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ray_downloader.errors import UserError
from ray_downloader.partition.batches import load_server_names
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.server_lists import canonical_name
from ray_downloader.run_folder.server_states import load_server_states


class KnownServers:
    """Names of servers and groups.

    Args:
        names: Servers of the list, those that redirects led to, and the groups that some of them belong to.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    @classmethod
    def of_run(cls, layout: RunLayout, policies: PolicyBook) -> KnownServers:
        """The servers of a run folder; none before its partition stage."""
        listed = load_server_names(layout) if layout.servers_table.exists() else []
        groups = {policies.budget_key(server) for server in listed} & policies.groups
        return cls([*listed, *load_server_states(layout), *groups])

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def find(self, text: str) -> str:
        """The canonical name of a server, or the name of a group.

        Raises:
            UserError: The run has neither; the message names similar ones.
        """
        name = canonical_name(text)
        if name in self:
            return name
        near = self.near(name)
        hint = f"did you mean {' or '.join(near)}?" if near else "urls/servers.parquet in its folder lists them all"
        raise UserError(f"no server of this run is named {name}; {hint}")

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Names that the run does not know, each with similar ones."""
        missed = sorted(name for name in names if name not in self)
        return [f"{name} (near: {', '.join(near)})" if (near := self.near(name)) else name for name in missed]

    def near(self, name: str) -> list[str]:
        """Similar names."""
        return difflib.get_close_matches(name, self._names, n=3, cutoff=0.7)
