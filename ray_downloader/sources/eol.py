"""Encyclopedia of Life: the media manifest (csv, from the Open Data pages), complete or with its columns renamed.

`EOL content ID` names the medium; it changes between manifests, so keep the manifest beside the images.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source


@SOURCES.register("eol")
def eol(settings: DatasetSettings) -> Source:
    """EOL's own copy of each image, not the publisher's."""
    return Source(
        columns={
            "source_id": Column(("EOL content ID", "source_id"), required=True),
            "identifier": Column(("EOL Full-Size Copy URL", "identifier"), required=True),
            "license": Column(("License Name", "license")),
            "source": Column(("Medium Source URL", "source")),
            "title": Column(("title",)),
            "creator": Column(("Copyright Owner", "owner", "creator")),
            "uuid": Column(("uuid",)),
        },
        rejects=(
            RejectRule("no_source_id", "source_id IS NULL"),
            RejectRule("no_identifier", "identifier IS NULL"),
        ),
        known_by=(("EOL content ID", "EOL Full-Size Copy URL"),),
        stated_license=settings.license,
        missing_hint="EOL's media manifest has the columns 'EOL content ID' and 'EOL Full-Size Copy URL'",
    )
