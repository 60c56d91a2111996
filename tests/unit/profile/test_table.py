from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import UserError
from ray_downloader.profile.estimate import ServerProfile
from ray_downloader.profile.table import (
    ProfiledWait,
    append_part,
    fold_parts,
    load_profiled_rates,
    load_profiled_waits,
    load_rows,
    row_of,
    save_rows,
)
from ray_downloader.run_folder.layout import RunLayout


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    return RunLayout(tmp_path, OutputStructure())


def row(name: str, rate_rps: float | None = 1.0) -> dict[str, str]:
    return dict(row_of(ServerProfile(name, 1, rate_limit=rate_rps, reachable=rate_rps is not None)))


def test_rates_come_back_as_they_were_saved(layout: RunLayout) -> None:
    save_rows(layout, [row("b.example:8080", 0.125), row("a.example", 40.0)])
    assert load_profiled_rates(layout) == {"a.example": 40.0, "b.example:8080": 0.125}


def test_an_unreachable_server_has_no_rate(layout: RunLayout) -> None:
    save_rows(layout, [row("a.example", None)])
    assert load_profiled_rates(layout) == {}
    assert load_rows(layout)["a.example"]["reachable"] == "false"


def test_before_the_stage_there_are_no_rates(layout: RunLayout) -> None:
    assert load_profiled_rates(layout) == {}


def test_the_first_columns_are_those_of_the_contract_and_lines_are_sorted(layout: RunLayout) -> None:
    save_rows(layout, [row("b.example"), row("a.example")])
    header, first, _ = layout.profiles_table.read_text("utf-8").splitlines()
    assert header.startswith("server_name,total_batches,success_count,error_count,rate_limit,")
    assert first.startswith("a.example,")


def test_a_table_of_the_forerunner_is_read(layout: RunLayout) -> None:
    layout.profiles_table.write_text(
        "server_name,total_batches,success_count,error_count,rate_limit\na.example,3,5,0,12\n"
    )
    assert load_profiled_rates(layout) == {"a.example": 12.0}
    save_rows(layout, load_rows(layout).values())
    assert load_profiled_rates(layout) == {"a.example": 12.0}


def test_a_note_with_commas_and_quotes_survives(layout: RunLayout) -> None:
    note = 'stopped, "refused"; line\nbreak'
    save_rows(layout, [row_of(ServerProfile("a.example", 1, note=note))])
    assert load_rows(layout)["a.example"]["note"] == note


@pytest.mark.parametrize("text", ["fast", "-1", "0", "inf", "nan"])
def test_a_rate_that_is_none_names_file_server_and_value(layout: RunLayout, text: str) -> None:
    layout.profiles_table.write_text(f"server_name,rate_limit\na.example,{text}\n")
    with pytest.raises(UserError, match=rf"profiles\.csv: rate_limit of a\.example is '{text}'"):
        load_profiled_rates(layout)


def test_a_table_without_the_column_names_it(layout: RunLayout) -> None:
    layout.profiles_table.write_text("server,rate\na.example,1\n")
    with pytest.raises(UserError, match="no column 'server_name'"):
        load_profiled_rates(layout)


def test_what_ranks_left_is_folded_into_the_table_once(layout: RunLayout) -> None:
    save_rows(layout, [row("a.example", 1.0)])
    append_part(layout, 0, row("b.example", 2.0))
    append_part(layout, 7, row("c.example", 3.0))
    assert fold_parts(layout) == 2
    assert load_profiled_rates(layout) == {"a.example": 1.0, "b.example": 2.0, "c.example": 3.0}
    assert fold_parts(layout) == 0


def test_the_torn_last_line_of_a_killed_rank_is_left_out(layout: RunLayout) -> None:
    append_part(layout, 0, row("a.example"))
    (part,) = layout.schedules.rglob("*.jsonl")
    torn = '{"server_name": "b.exa'
    part.write_text("\n".join(["noise", "[]", "{}", "7", part.read_text("utf-8"), torn]), "utf-8")
    assert fold_parts(layout) == 1
    assert set(load_rows(layout)) == {"a.example"}


def test_what_a_server_asked_the_probe_for_outlives_it(layout: RunLayout) -> None:
    profiles = [
        ServerProfile("both.example", 1, crawl_delay_s=2.5, retry_at_unix_s=1_764_275_123),
        ServerProfile("delay.example", 1, crawl_delay_s=10.0),
        ServerProfile("free.example", 1),
    ]
    save_rows(
        layout, [*map(row_of, profiles), {**row("odd.example"), "crawl_delay_s": "soon", "retry_at_unix_s": "inf"}]
    )
    assert load_profiled_waits(layout) == {
        "both.example": ProfiledWait(2.5, 1_764_275_123.0),
        "delay.example": ProfiledWait(10.0, None),
    }


def test_no_cell_is_a_formula_and_all_come_back_as_they_were(layout: RunLayout) -> None:
    odd = {**row("-1.example"), "note": "=HYPERLINK(0)"}
    save_rows(layout, [odd])
    assert "'-1.example," in layout.profiles_table.read_text("utf-8")
    assert ",'=HYPERLINK(0)" in layout.profiles_table.read_text("utf-8")
    assert load_rows(layout) == {"-1.example": odd}
