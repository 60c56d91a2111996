"""TreeOfLife-200M: the published catalog (parquet), which names where each image came from.

`dataset.data_sources` picks among gbif, eol, bioscan and fathomnet; `dataset.excluded_servers` names a csv with the
column `server_name`, whose servers are excluded. Rows keep the catalog's uuid.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.run_folder.server_lists import read_server_names
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source
from ray_downloader.sql import literals

#: The server as it is spelled in the file of excluded ones: lower case, without user-info and default port.
_SERVER = "regexp_extract(lower(identifier), '^https?://(?:[^/?#@]*@)?([^/?#]+?)(?::(?:80|443))?(?:[/?#]|$)', 1)"


@SOURCES.register("tol200m")
def tol200m(settings: DatasetSettings) -> Source:
    """The catalog's rows of the chosen sources, except those of excluded servers."""
    rejects = [RejectRule("no_identifier", "identifier IS NULL")]
    if settings.data_sources:
        chosen = literals(name.lower() for name in settings.data_sources)
        rejects.append(RejectRule("other_data_source", f"lower(coalesce(data_source, '')) NOT IN ({chosen})"))
    path = settings.excluded_servers
    excluded = read_server_names(path, f"dataset.excluded_servers={path}") if path else ()
    if excluded:
        rejects.append(RejectRule("excluded_server", f"{_SERVER} IN ({literals(sorted(excluded))})"))
    return Source(
        columns={
            "uuid": Column(("uuid",)),
            "source_id": Column(("source_id",), required=True),
            "identifier": Column(("source_url", "identifier"), required=True),
            "data_source": Column(("data_source",), required=bool(settings.data_sources)),
            "license": Column(("license", "license_link", "license_name")),
            "source": Column(("source", "publisher")),
            "title": Column(("title",)),
            "creator": Column(("creator", "copyright_owner")),
        },
        rejects=tuple(rejects),
        known_by=(("uuid", "source_id", "data_source", "source_url"),),
        stated_license=settings.license,
        missing_hint="the catalog of TreeOfLife-200M has the columns uuid, source_id, data_source and source_url",
    )
