"""What every process reads of a run is what its driver froze."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ErrorKind
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import begin_retry
from ray_downloader.worker.request_policy import Failure, Route
from ray_downloader.worker.run_context import RunContext


def frozen(root: Path) -> RunLayout:
    settings = Settings.from_config(
        {"path_to_input": "list.txt", "path_to_output": root, "downloader_parameters": {"default_rate_limit": 7.0}}
    )
    layout = RunLayout.of(settings)
    write_text(layout.settings_file, settings.to_json())
    return layout


def test_settings_limits_and_orders_are_those_of_the_folder(tmp_path: Path) -> None:
    layout = frozen(tmp_path)
    write_text(
        layout.profiles_table, "server_name,total_batches,success_count,error_count,rate_limit\na.org,1,1,0,9.0\n"
    )
    order = begin_retry(layout, [ErrorKind.DNS], "2026-01-01")
    context = RunContext.load(layout.settings_file)
    assert context.layout == layout
    assert context.policies.policy("a.org").start_rate_rps == 9.0
    assert context.policies.policy("b.org").start_rate_rps == 7.0
    assert context.policies is context.policies, "read once"
    assert context.retry == order


def test_servers_that_the_user_ignores_are_not_asked(tmp_path: Path) -> None:
    layout = frozen(tmp_path)
    write_text(layout.ignored_table, "server_name\na.org\n")
    requests = RunContext.load(layout.settings_file).requests
    refused = requests.route("http://a.org/a.jpg")
    assert isinstance(refused, Failure)
    assert refused.kind is ErrorKind.IGNORED_SERVER
    assert isinstance(requests.route("http://b.org/a.jpg"), Route)
