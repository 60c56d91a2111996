from __future__ import annotations

from typing import Any

import pytest

from ray_downloader.config.settings import DownloaderParameters, PolitenessSettings
from ray_downloader.politeness.policy import PolicyBook, ServerPolicy, published_rules


def book(
    parameters: dict[str, Any] | None = None, profiled: dict[str, float] | None = None, **politeness: Any
) -> PolicyBook:
    return PolicyBook(
        PolitenessSettings.model_validate(politeness),
        DownloaderParameters.model_validate(parameters or {}),
        profiled or {},
    )


@pytest.mark.parametrize(
    ("parameters", "politeness", "start_rps", "ceiling_rps"),
    [
        ({"default_rate_limit": 4, "rate_multiplier": 0.5}, {}, 4, 6),
        ({"default_rate_limit": 25, "rate_multiplier": 0}, {}, 25, 25),
        ({"default_rate_limit": 3}, {"max_rate_limit": 25}, 3, 25),
        ({"default_rate_limit": 40}, {"max_rate_limit": 25}, 25, 25),
        ({"default_rate_limit": 10}, {"max_rate_limit": 200}, 10, 200),
        ({"default_rate_limit": 10}, {"adaptive": False}, 10, 10),
        ({"default_rate_limit": 10}, {"adaptive": False, "max_rate_limit": 200}, 10, 10),
    ],
)
def test_rates_follow_the_configuration(
    parameters: dict[str, Any], politeness: dict[str, Any], start_rps: float, ceiling_rps: float
) -> None:
    policy = book(parameters, **politeness).policy("a.org")
    assert (policy.start_rate_rps, policy.ceiling_rps) == (start_rps, ceiling_rps)


def test_a_profiled_server_starts_at_its_profiled_rate() -> None:
    policy = book({"rate_multiplier": 0.5}, {"a.org": 8.0}).policy("a.org")
    assert (policy.start_rate_rps, policy.ceiling_rps) == (8.0, 12.0)


def test_without_politeness_only_connections_are_limited() -> None:
    policy = book(enabled=False, max_connections=64).policy("a.org")
    assert (policy.start_rate_rps, policy.ceiling_rps, policy.max_connections) == (None, None, 64)


def test_a_rule_sets_the_rate_and_the_most_there_is() -> None:
    policy = book(rules=[{"server": "*.a.org", "rate_rps": 50, "max_connections": 9, "burst": 4}]).policy("img.a.org")
    assert (policy.start_rate_rps, policy.ceiling_rps, policy.max_connections, policy.burst) == (50, 50, 9, 4)


def test_no_rule_passes_the_highest_rate() -> None:
    assert book(rules=[{"server": "*", "rate_rps": 50}], max_rate_limit=20).policy("a.org").ceiling_rps == 20


def test_a_rule_is_for_whom_its_glob_names() -> None:
    rules = [{"server": "*.a.org", "max_connections": 9}]
    assert book(rules=rules).policy("a.org").max_connections == 4


def test_the_first_rule_wins_field_by_field() -> None:
    rules = [{"server": "img.a.org", "rate_rps": 1}, {"server": "*.a.org", "rate_rps": 9, "max_connections": 2}]
    policy = book(rules=rules).policy("img.a.org")
    assert (policy.ceiling_rps, policy.max_connections) == (1, 2)


def test_hosts_of_a_group_share_one_budget() -> None:
    policies = book()
    assert (
        policies.budget_key("ia801.us.archive.org") == policies.budget_key("ia902.us.archive.org") == "us.archive.org"
    )
    assert policies.budget_key("live.staticflickr.com") == "staticflickr.com"
    assert policies.budget_key("a.org") == "a.org"


def test_a_group_has_the_policy_of_its_hosts() -> None:
    policies = book(rules=[{"server": "*.a.org", "group": "all of a", "rate_rps": 7}])
    assert policies.policy("all of a") == policies.policy("img.a.org")


def test_published_limits_are_shipped_with_their_sources() -> None:
    wikimedia = book().policy("upload.wikimedia.org")
    assert (wikimedia.max_connections, wikimedia.max_bytes_per_s) == (2, 25e6 / 8)
    assert book().policy("api.gbif.org").max_connections == 1
    assert all(rule.source for rule in published_rules())


def test_users_beat_published_limits_and_can_switch_them_off() -> None:
    assert (
        book(rules=[{"server": "upload.wikimedia.org", "max_connections": 8}])
        .policy("upload.wikimedia.org")
        .max_connections
        == 8
    )
    assert book(published_rules=False).policy("upload.wikimedia.org").max_bytes_per_s is None


def test_a_policy_says_no_more_than_was_configured() -> None:
    policy = book(published_rules=False).policy("a.org")
    assert policy == ServerPolicy(3.0, 4.5)
    assert (policy.burst, policy.max_connections, policy.adaptive, policy.patience_s) == (1, 4, True, 900.0)
    assert policy.dead_probe_delays_s == (5.0, 15.0, 45.0)


def test_every_limit_of_the_configuration_and_of_a_rule_arrives() -> None:
    politeness = {
        "burst": 2, "max_connections": 3, "max_bytes_per_s": 5.0, "max_bytes_per_day": 7.0, "adaptive": False,
        "dead_probe_delays_s": [1.0], "patience_s": 11.0,
    }  # fmt: skip
    plain = book(**politeness).policy("a.org")
    assert (plain.burst, plain.max_connections, plain.max_bytes_per_s, plain.max_bytes_per_day) == (2, 3, 5.0, 7.0)
    assert (plain.adaptive, plain.dead_probe_delays_s, plain.patience_s) == (False, (1.0,), 11.0)
    rule = {
        "server": "a.org", "burst": 20, "max_connections": 30, "max_bytes_per_s": 50.0, "max_bytes_per_day": 70.0,
        "max_requests_per_day": 9, "verify_tls": False, "source": "a page",
    }  # fmt: skip
    ruled = book(**politeness, rules=[rule]).policy("a.org")
    assert (ruled.burst, ruled.max_connections, ruled.max_bytes_per_s, ruled.max_bytes_per_day) == (20, 30, 50.0, 70.0)
    assert (ruled.max_requests_per_day, ruled.verify_tls, ruled.source, ruled.group) == (9, False, "a page", None)


FLICKR = "staticflickr.com"


@pytest.mark.parametrize(
    "server", ["live.staticflickr.com", "*.staticflickr.com", "live.*", "farm?.staticflickr.com", "*flickr*", FLICKR]
)
def test_a_rule_for_hosts_of_a_shipped_group_is_the_groups(server: str) -> None:
    policies = book(rules=[{"server": server, "rate_rps": 0.5, "max_connections": 1}])
    for name in (FLICKR, "live.staticflickr.com", "c8.staticflickr.com"):
        policy = policies.policy(name)
        assert (policy.start_rate_rps, policy.ceiling_rps, policy.max_connections) == (0.5, 0.5, 1)
        assert policy.group == policies.budget_key(name) == FLICKR


@pytest.mark.parametrize("server", ["flickr.com", "*.staticflickr.org", "staticflickr.com.example", "live.*.net"])
def test_a_rule_for_others_leaves_a_group_alone(server: str) -> None:
    assert book(rules=[{"server": server, "rate_rps": 0.5}]).policy("live.staticflickr.com").ceiling_rps == 4.5


def test_the_strictest_rule_of_a_groups_hosts_counts_whatever_their_order() -> None:
    one, other = {"server": "live.staticflickr.com", "rate_rps": 5}, {"server": "farm1.staticflickr.com", "rate_rps": 2}
    for rules in ([one, other], [other, one]):
        assert book(rules=rules).policy("live.staticflickr.com").ceiling_rps == 2


def test_an_earlier_rule_for_the_same_hosts_still_beats_a_later_one() -> None:
    rules = [{"server": "*.staticflickr.com", "rate_rps": 9}, {"server": "*.staticflickr.com", "rate_rps": 1}]
    assert book(rules=rules).policy(FLICKR).ceiling_rps == 9


def test_a_host_that_a_user_takes_out_of_a_group_has_its_own_budget() -> None:
    policies = book(rules=[{"server": "live.staticflickr.com", "group": "mine", "rate_rps": 0.5}])
    assert policies.budget_key("live.staticflickr.com") == "mine"
    assert policies.policy("live.staticflickr.com").ceiling_rps == 0.5
    assert policies.policy("c8.staticflickr.com").ceiling_rps == 4.5


def test_the_profile_of_a_grouped_host_is_used_for_its_group() -> None:
    policies = book(profiled={"live.staticflickr.com": 8.0, "c1.staticflickr.com": 6.0, "a.org": 1.0})
    assert policies.policy(FLICKR).start_rate_rps == 6.0
    assert policies.policy("c2.staticflickr.com").start_rate_rps == 6.0


def test_tls_is_a_matter_of_each_host() -> None:
    policies = book(rules=[{"server": "c1.staticflickr.com", "verify_tls": False}])
    assert policies.policy("c1.staticflickr.com").verify_tls is False
    assert policies.policy("c2.staticflickr.com").verify_tls is None


def test_servers_with_the_same_limits_share_one_policy_as_there_may_be_10_to_the_6() -> None:
    rules = [{"server": "*.slow.example", "rate_rps": 0.5}, {"server": "b.*", "burst": 3}]
    book = PolicyBook(PolitenessSettings.model_validate({"rules": rules}), DownloaderParameters(), {"p.example": 7.0})
    plain, slow, both = (book.policy(name) for name in ("a.example", "a.slow.example", "b.slow.example"))
    assert book.policy("c.example") is plain
    assert book.policy("c.slow.example") is slow
    assert book.policy("b.other.slow.example") is both
    assert [policy.start_rate_rps for policy in (slow, both, book.policy("p.example"))] == [0.5, 0.5, 7.0]
    assert [policy.burst for policy in (plain, slow, both)] == [1, 1, 3]
