"""When the dashboard runs, which port it gets, and how its token is passed."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.cluster import dashboard
from ray_downloader.cluster.dashboard import require_free_port, way_to_dashboard, with_chosen_port
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError


def options(**cluster: Any) -> Any:
    return Settings.from_config({"path_to_input": "a", "path_to_output": "b", "cluster": cluster}).cluster


@pytest.mark.parametrize(
    ("cluster", "planned_s", "port"),
    [
        ({}, 301.0, 8265),
        ({}, 299.0, None),
        ({}, None, None),
        ({"dashboard_port": None}, 1e6, None),
        ({"dashboard_port": 9000}, 1.0, 9000),
        ({"name": "slurm"}, 1.0, "auto"),
    ],
    ids=["long", "short", "unknown", "off", "given", "slurm"],
)
def test_long_runs_have_a_dashboard(
    cluster: dict[str, Any], planned_s: float | None, port: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "why_not", lambda _port: "")
    assert with_chosen_port(options(**cluster), planned_s).dashboard_port == port


def test_a_busy_port_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "why_not", lambda port: "Address already in use" if port == 9000 else "")
    require_free_port(options(dashboard_port=9001))
    require_free_port(options())
    with pytest.raises(
        UserError, match=r"cluster.dashboard_port=9000 cannot be used \(Address already in use\): choose"
    ):
        require_free_port(options(dashboard_port=9000))


@pytest.mark.parametrize("port", [0, -1, 65536, 99999, "http", "80.5", True])
def test_an_impossible_port_is_one_sentence(port: object) -> None:
    with pytest.raises(UserError, match="write a port from 1 to 65535, auto, or null for none") as refused:
        options(dashboard_port=port)
    assert "\n" not in str(refused.value)


def test_the_token_is_in_a_private_file_while_the_dashboard_runs(tmp_path: Path) -> None:
    environ = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5ecret"}
    path = tmp_path / ".ray-token"
    with way_to_dashboard("127.0.0.1:8265", tmp_path, environ) as words:
        assert words and words.startswith("dashboard: http://127.0.0.1:8265 , which asks for the token in ")
        assert str(path) in words and "5ecret" not in words
        assert path.read_text("ascii").strip() == "5ecret"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_without_a_token_or_a_dashboard_there_is_none_to_pass(tmp_path: Path) -> None:
    with way_to_dashboard("127.0.0.1:8265", tmp_path, {}) as words:
        assert words == "dashboard: http://127.0.0.1:8265"
    with way_to_dashboard(None, tmp_path, {}) as words:
        assert words is None
    assert not list(tmp_path.iterdir())
