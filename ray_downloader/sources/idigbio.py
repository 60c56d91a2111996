"""iDigBio: its downloads (Darwin Core Archives with `multimedia.csv` and `multimedia_raw.csv`), or their tables alone.

The raw table is what publishers sent, the other is what iDigBio made of it; an image in both is fetched once.
"""

from __future__ import annotations

from dataclasses import replace

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Source
from ray_downloader.sources.dwca import darwin_core


@SOURCES.register("idigbio")
def idigbio(settings: DatasetSettings) -> Source:
    """Still images of a download."""
    return replace(
        darwin_core(settings, ()),
        media_stems=("multimedia", "multimedia_raw"),
        quoted_tabs=True,
        known_by=(
            ("coreid", "ac:accessURI", "idigbio:uuid"),
            ("coreid", "ac:accessURI", "idigbio:records"),
            ("coreid", "idigbio:uuid", "idigbio:etag"),
        ),
        missing_hint="iDigBio's tables of media have the columns coreid and ac:accessURI",
    )
