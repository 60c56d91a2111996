"""What to cite: the source of the list, the datasets its images are from, and this program. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray_downloader.config.settings import Settings

#: Datasets that are named; the list itself has all.
MOST_DATASETS = 20

_OF_DATASET = {
    "gbif": "GBIF asks to cite the DOI of the download (it is on the download's page and in its metadata.xml), "
    "which credits every dataset in it: https://www.gbif.org/citation-guidelines",
    "dwca": "Cite the dataset of the archive; its eml.xml has the citation that the publisher wants.",
    "eol": "Cite the Encyclopedia of Life, and each image's own source: https://eol.org/docs/what-is-eol/terms-of-use",
    "lila": "Each dataset of LILA BC names its own paper: https://lila.science",
    "fathomnet": "Cite FathomNet and the contributors of its images: https://fathomnet.org",
    "tol200m": "Cite TreeOfLife-200M, and the sources that it names: "
    "https://huggingface.co/datasets/imageomics/TreeOfLife-200M",
    "idigbio": "Cite iDigBio and each collection: https://www.idigbio.org",
    "inaturalist": "Cite iNaturalist Open Data, and credit each observer: "
    "https://github.com/inaturalist/inaturalist-open-data",
}


def citations(
    settings: Settings, dataset: str, dataset_keys: Sequence[tuple[str, int]], download_doi: str | None = None
) -> dict[str, Any]:
    """What to cite.

    Args:
        settings: Those of the run.
        dataset: The kind of list.
        dataset_keys: GBIF's datasets of the images, and their numbers of images.
        download_doi: Of the download that the list is, if it names one.
    """
    source = _OF_DATASET.get(dataset or settings.dataset.name, "Cite the source of the list, as it asks for it.")
    known = [(key, images) for key, images in dataset_keys if key]
    return {
        "list": f"This list is the download https://doi.org/{download_doi}. {source}" if download_doi else source,
        "datasets": [[key, f"https://www.gbif.org/dataset/{key}", images] for key, images in known[:MOST_DATASETS]],
        "more_datasets": max(0, len(known) - MOST_DATASETS),
        "program": "ray_downloader: CITATION.cff in its repository has the reference for the program itself.",
    }
