"""Translates a legacy YAML file: its spellings become ours, and keys without a meaning here are reported once. Pure.

Keys that both projects share have the same names; only the others are listed here. Zeros, which the legacy template
uses for "to be filled in", are left out, so that our defaults apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray_downloader.config.settings import DownloaderParameters
from ray_downloader.errors import UserError

#: `initializer_type` -> our dataset; "" is the template's.
_DATASETS = {
    "": "generic",
    "gbif": "gbif",
    "eol": "eol",
    "lila": "lila",
    "fathom_net": "fathomnet",
    "tol200m_general": "tol200m",
    "tol200m_fathomNet": "tol200m",
}
#: Keys that are ignored, and what to report about them.
_UNNECESSARY = {
    "scripts": "no submit scripts are needed: one Slurm job runs all stages (slurm/ray_downloader.sbatch)",
    "schedule_rules": "how many processes share a server follows from its rate; batches are assigned during the run",
    "suppress_unchanged_error": "a run ends when every row is settled, so it never submits itself again",
    "bounding_box_information_path": "bounding boxes are not joined; join them by source_id afterwards",
    "dst_image_folder": "images stay in the run folder",
    "dst_error_folder": "errors stay in the run folder",
}
_GROUPS = ("downloader_parameters", "tools_parameters")
#: Groups without which distributed-downloader refuses a file, and the other keys of its README and its template.
_ITS_GROUPS = frozenset({"output_structure", "downloader_parameters"})
_ITS_KEYS = frozenset(
    {
        "account",
        "path_to_input",
        "path_to_output",
        "path_to_output_folder",
        "initializer_type",
        "included_sources",
        "excluded_servers_path",
        "tools_parameters",
        *_ITS_GROUPS,
        *_UNNECESSARY,
    }
)
#: For these, zero is a value and not a gap.
_MAY_BE_ZERO = frozenset({"rate_multiplier", "max_distance"})


def is_legacy(given: Mapping[str, Any]) -> bool:
    """Whether a YAML file is a legacy one: it has that project's groups, and no key that is only ours."""
    return _ITS_GROUPS <= given.keys() <= _ITS_KEYS


def translate(given: Mapping[str, Any], report: Callable[[str], None]) -> dict[str, Any]:
    """Our configuration for one that may be a legacy one; ours passes through unchanged.

    Args:
        given: The YAML file's content.
        report: Called with a sentence about each key that is not needed here.

    Raises:
        UserError: `initializer_type` names an unknown dataset, or a key is given in both spellings.
    """
    values = dict(given)
    if is_legacy(given):
        values["politeness"] = {"max_rate_limit": _ceiling_rps(given["downloader_parameters"])}
    for key in [key for key in values if key in _UNNECESSARY]:
        if values.pop(key):
            report(f"{key} is not needed: {_UNNECESSARY[key]}")
    _rename(values, "path_to_output_folder", "path_to_output")
    dataset = _dataset(values)
    if dataset:
        values["dataset"] = dataset
    for group in _GROUPS:
        if isinstance(values.get(group), Mapping):
            values[group] = _without_gaps(values[group])
    return values


def _ceiling_rps(parameters: object) -> float:
    """Requests/s that no server may exceed, whatever a profile found: that is what such a file means."""
    given = _without_gaps(parameters) if isinstance(parameters, Mapping) else {}
    defaults = DownloaderParameters()
    try:
        rate_rps = float(given.get("default_rate_limit", defaults.default_rate_limit))
        return rate_rps * (1 + float(given.get("rate_multiplier", defaults.rate_multiplier)))
    except (TypeError, ValueError):
        return defaults.default_rate_limit  # the key itself is rejected, by its name, during validation


def _rename(values: dict[str, Any], older: str, ours: str) -> None:
    if older not in values:
        return
    if ours in values:
        raise UserError(f"{older} and {ours} are the same key; give one of them")
    values[ours] = values.pop(older)


def _dataset(values: dict[str, Any]) -> dict[str, Any]:
    """The meaning of `initializer_type` and the keys that go with it; empty if there are none."""
    found: dict[str, Any] = {}
    if "initializer_type" in values:
        name = str(values.pop("initializer_type") or "")
        if name not in _DATASETS:
            raise UserError(
                f"initializer_type={name!r} is unknown; choose one of: {', '.join(filter(None, _DATASETS))}"
            )
        if "dataset" in values:
            raise UserError("initializer_type and dataset are the same key; give one of them")
        found["name"] = _DATASETS[name]
    for older, ours in (("included_sources", "data_sources"), ("excluded_servers_path", "excluded_servers")):
        if value := values.pop(older, None):
            found[ours] = value
    return found


def _without_gaps(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in group.items()
        if key in _MAY_BE_ZERO or isinstance(value, bool) or value not in (0, "", None)
    }
