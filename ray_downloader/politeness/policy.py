"""The limits of each server: the configuration, the rules and the profile, resolved into one policy.

Rules are globs over canonical server keys. A user's rules override the shipped table of published policies, and an
earlier rule overrides a later one, field by field. A group of servers shares one budget with one policy: the strictest
of what the rules state for any of its servers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import yaml

from ray_downloader.config.settings import DownloaderParameters, PolitenessSettings, ServerRule

#: Limits for which the lowest value is the strictest.
_LIMITS = ("rate_rps", "burst", "max_connections", "max_bytes_per_s", "max_bytes_per_day", "max_requests_per_day")


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """Limits of one budget.

    Args:
        start_rate_rps: First rate, or None: no limit on the rate (`politeness.enabled=false`).
        ceiling_rps: Rate that is never exceeded; None as above.
        adaptive: Whether the rate is learned; if not, it stays at `start_rate_rps`.
        dead_probe_delays_s: Waits before single probes of a server that cannot be reached.
        patience_s: How long a server in trouble is waited for while nothing else is left to do.
        group: Name of the budget that this server shares with others, or None.
        source: Where a published limit was found.
    """

    start_rate_rps: float | None
    ceiling_rps: float | None
    burst: int = 1
    max_connections: int = 4
    adaptive: bool = True
    max_bytes_per_s: float | None = None
    max_bytes_per_day: float | None = None
    max_requests_per_day: int | None = None
    dead_probe_delays_s: tuple[float, ...] = (5.0, 15.0, 45.0)
    patience_s: float = 900.0
    verify_tls: bool | None = None
    group: str | None = None
    source: str | None = None


class PolicyBook:
    """Looks up the policy of any server.

    Args:
        politeness: The configured defaults and rules.
        parameters: For the default rate and for how far a rate may rise.
        profiled_rates: Requests/s that the profile stage found, by server.
    """

    def __init__(
        self,
        politeness: PolitenessSettings,
        parameters: DownloaderParameters,
        profiled_rates: Mapping[str, float],
    ) -> None:
        self._politeness = politeness
        self._parameters = parameters
        self._profiled_rates = profiled_rates
        shipped = published_rules() if politeness.published_rules else ()
        self._rules = (*(politeness.rules or ()), *shipped)
        #: Names of groups; a server of the same name belongs to its group.
        self.groups = frozenset(rule.group for rule in self._rules if rule.group)
        self._budgets: dict[str, str] = {}
        self._policies: dict[str, ServerPolicy] = {}
        #: One for all servers with the same limits, and one for all that the same rules match: there may be 10^6.
        self._equal_policies: dict[ServerPolicy, ServerPolicy] = {}
        self._merged_rules: dict[tuple[int, ...], ServerRule] = {}

    def budget_key(self, server: str) -> str:
        """Name of the budget that requests to `server` spend: its group, or the server itself."""
        budget = self._budgets.get(server)
        if budget is None:
            budget = self._budgets[server] = self._rule(server).group or server
        return budget

    def policy(self, server: str) -> ServerPolicy:
        """Limits of the budget that requests to `server` spend, with the server's own rule for TLS.

        Args:
            server: A server, or the name of a group.
        """
        budget = self.budget_key(server)
        policy = self._policies.get(budget)
        if policy is None:
            rule = self._group_rule(budget) if budget in self.groups else self._rule(budget)
            policy = self._policy(budget, rule)
            policy = self._policies[budget] = self._equal_policies.setdefault(policy, policy)
        return policy if server == budget else replace(policy, verify_tls=self._rule(server).verify_tls)

    def _policy(self, budget: str, rule: ServerRule) -> ServerPolicy:
        politeness = self._politeness
        start_rps, ceiling_rps = self._rates(budget, rule) if politeness.enabled else (None, None)
        return ServerPolicy(
            start_rate_rps=start_rps,
            ceiling_rps=ceiling_rps,
            burst=rule.burst or politeness.burst,
            max_connections=rule.max_connections or politeness.max_connections,
            adaptive=politeness.adaptive,
            max_bytes_per_s=rule.max_bytes_per_s or politeness.max_bytes_per_s,
            max_bytes_per_day=rule.max_bytes_per_day or politeness.max_bytes_per_day,
            max_requests_per_day=rule.max_requests_per_day,
            dead_probe_delays_s=politeness.dead_probe_delays_s,
            patience_s=politeness.patience_s,
            verify_tls=rule.verify_tls,
            group=rule.group,
            source=rule.source,
        )

    def _rates(self, budget: str, rule: ServerRule) -> tuple[float, float]:
        """Starting rate and ceiling.

        1. A rule's rate is both: an operator stated what the server accepts.
        2. Otherwise the profiled (or default) rate starts, and may rise to `max_rate_limit`, or by `rate_multiplier`.
        `max_rate_limit` caps all of them; without `adaptive` nothing rises.
        """
        highest_rps = self._politeness.max_rate_limit
        if rule.rate_rps is not None:
            rate_rps = min(rule.rate_rps, highest_rps or rule.rate_rps)
            return rate_rps, rate_rps
        start_rps = self._profiled_rps(budget) or self._parameters.default_rate_limit
        ceiling_rps = highest_rps or start_rps * (1 + self._parameters.rate_multiplier)
        start_rps = min(start_rps, ceiling_rps)
        return start_rps, ceiling_rps if self._politeness.adaptive else start_rps

    def _rule_of_both(self, one: str, other: str) -> ServerRule:
        """The rule for names that match two globs."""
        matching = (rule for rule in self._rules if fnmatchcase(one, rule.server) or fnmatchcase(other, rule.server))
        return _merged(one, matching)

    def _profiled_rps(self, budget: str) -> float | None:
        """The rate from the profile stage; for a group, the lowest of its servers' rates."""
        if budget not in self.groups:
            return self._profiled_rates.get(budget)
        rates = (rate for server, rate in self._profiled_rates.items() if self.budget_key(server) == budget)
        return min(rates, default=None)

    def _rule(self, server: str) -> ServerRule:
        """The rule for a server, or for a group by its name; it is not known whose."""
        matching = tuple(
            number
            for number, rule in enumerate(self._rules)
            if server == rule.group or fnmatchcase(server, rule.server)
        )
        rule = self._merged_rules.get(matching)
        if rule is None:
            rule = self._merged_rules[matching] = _merged("*", (self._rules[number] for number in matching))
        return rule

    def _group_rule(self, group: str) -> ServerRule:
        """The strictest of the rules for any of a group's servers: by name, by glob, or by the group's name."""
        globs = [rule.server for rule in self._rules if rule.group == group]
        pairs = [(rule.server, glob) for glob in globs for rule in self._rules if _overlap(rule.server, glob)]
        rules = [self._rule(group), *(self._rule_of_both(*pair) for pair in dict.fromkeys(pairs))]
        members = [rule for rule in rules if rule.group == group]
        merged = _merged(group, members)
        strictest = {
            key: min(values)
            for key in _LIMITS
            if (values := [value for rule in members if (value := getattr(rule, key)) is not None])
        }
        return merged.model_copy(update=strictest)


@cache
def published_rules() -> tuple[ServerRule, ...]:
    """The shipped table of limits that operators published."""
    text = resources.files(__package__).joinpath("published_rules.yaml").read_text("utf-8")
    return tuple(ServerRule.model_validate(row) for row in yaml.safe_load(text))


def _merged(server: str, rules: Iterable[ServerRule]) -> ServerRule:
    merged: dict[str, Any] = {}
    for rule in rules:
        for key, value in rule.model_dump(exclude_none=True).items():
            merged.setdefault(key, value)
    return ServerRule.model_validate({**merged, "server": server})


def _overlap(one: str, other: str) -> bool:
    """Whether two globs can match the same name; `[...]` counts as any character, so it may say yes too often."""
    return _overlap_of(_simple(one), _simple(other))


def _simple(glob: str) -> str:
    return re.sub(r"\[!?\]?[^\]]*\]", "?", re.sub(r"\*+", "*", glob))


@lru_cache(maxsize=4096)
def _overlap_of(one: str, other: str) -> bool:
    if not one or not other:
        return not (one or other).strip("*")
    if one[0] == "*":
        return _overlap_of(one[1:], other) or _overlap_of(one, other[1:])
    if other[0] == "*":
        return _overlap_of(other, one)
    return (one[0] == other[0] or "?" in {one[0], other[0]}) and _overlap_of(one[1:], other[1:])
