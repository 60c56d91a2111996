from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure, Settings
from ray_downloader.errors import UserError
from ray_downloader.profile.estimate import ServerProfile
from ray_downloader.profile.table import load_profiled_rates, row_of, save_rows
from ray_downloader.profile.workload import Rates, plan_workload, sample_urls
from ray_downloader.run_folder.layout import RunLayout
from tests.support.partitioned import partitioned_run

BIG = [f"http://big.example/{number:03d}.jpg" for number in range(100)]
MIDDLE = [f"http://middle.example/{number:03d}.jpg" for number in range(20)]
SMALL = [f"http://small.example/{number}.jpg" for number in range(19)]
TINY = ["http://tiny.example/1.jpg"]


def settings_with(**politeness: object) -> Settings:
    return Settings.from_config({"path_to_input": "x", "path_to_output": "y", "politeness": politeness})


def test_big_servers_are_probed_and_small_ones_get_the_default_rate_and_a_note(tmp_path: Path) -> None:
    settings, layout = partitioned_run(tmp_path, [*BIG, *MIDDLE, *SMALL, *TINY])
    workload = plan_workload(settings, layout, ignored=())
    assert [job.server_name for piece in workload.pieces for job in piece.jobs] == ["big.example", "middle.example"]
    assert {profile.server_name: profile.rate_limit for profile in workload.unprobed} == {
        "small.example": 3.0,
        "tiny.example": 3.0,
    }
    assert all("default rate" in profile.note for profile in workload.unprobed)


def test_servers_that_have_a_line_or_are_ignored_are_left_out(tmp_path: Path) -> None:
    settings, layout = partitioned_run(tmp_path, [*BIG, *MIDDLE, *TINY])
    save_rows(layout, [row_of(ServerProfile("big.example", 1)), row_of(ServerProfile("tiny.example", 1))])
    workload = plan_workload(settings, layout, ignored={"middle.example"})
    assert workload.pieces == () and workload.unprobed == ()


def test_servers_of_an_ignored_group_are_left_out(tmp_path: Path) -> None:
    urls = [f"http://c{host}.staticflickr.com/{number}.jpg" for host in (1, 2) for number in range(30)]
    settings, layout = partitioned_run(tmp_path, urls)
    assert plan_workload(settings, layout, ignored={"staticflickr.com"}).pieces == ()


def test_a_server_that_was_not_probed_has_no_rate_of_its_own(tmp_path: Path) -> None:
    settings, layout = partitioned_run(tmp_path, [*BIG, *SMALL])
    save_rows(layout, map(row_of, plan_workload(settings, layout, ignored=()).unprobed))
    assert load_profiled_rates(layout) == {}


def test_servers_of_one_budget_stay_in_one_piece_at_its_pace(tmp_path: Path) -> None:
    rule = {"server": "*.example", "group": "examples", "rate_rps": 0.5}
    settings, layout = partitioned_run(tmp_path, [*BIG, *MIDDLE], politeness={"rules": [rule]})
    (piece,) = plan_workload(settings, layout, ignored=()).pieces
    assert (piece.budget_key, piece.rate_rps, len(piece.jobs)) == ("examples", 0.5, 2)


def test_samples_are_spread_over_all_batches_of_a_server(tmp_path: Path) -> None:
    settings, layout = partitioned_run(tmp_path, BIG, downloader_parameters={"batch_size": 30})
    (piece,) = plan_workload(settings, layout, ignored=()).pieces
    assert len(piece.jobs[0].batches) == 4
    assert sample_urls(layout, piece.jobs[0], 5) == [BIG[number] for number in (10, 30, 50, 70, 90)]


def test_without_a_partition_there_is_nothing_to_plan(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    with pytest.raises(UserError, match="run the partition stage first"):
        plan_workload(settings_with(), layout, ignored=())


def test_an_unknown_server_is_trusted_with_ten_times_the_default_rate() -> None:
    limits = Rates(settings_with()).limits("a.example")
    assert (limits.default_rps, limits.ceiling_rps) == (3.0, 30.0)


def test_the_operators_ceiling_beats_trust() -> None:
    assert Rates(settings_with(max_rate_limit=8.0)).limits("a.example").ceiling_rps == 8.0


def test_a_rule_is_both_rate_and_ceiling() -> None:
    rule = {"server": "a.example", "rate_rps": 0.2}
    limits = Rates(settings_with(rules=[rule])).limits("a.example")
    assert (limits.default_rps, limits.ceiling_rps) == (0.2, 0.2)


def test_own_servers_without_limits_are_still_probed_at_some_pace() -> None:
    assert Rates(settings_with(enabled=False)).limits("a.example").default_rps == 30.0
