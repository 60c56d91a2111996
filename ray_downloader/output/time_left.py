"""What a run that was stopped still has time for: Slurm announces the end of a job 90 s before it."""

from __future__ import annotations

import pyarrow.parquet as pq

from ray_downloader.run_folder.layout import RunLayout

#: To read something of each finished batch takes up to 5 ms of CPU, and longer on a parallel file system.
MOST_BATCHES_OF_A_STOPPED_RUN = 5_000


def may_read_all(layout: RunLayout, *, is_stopped: bool) -> bool:
    """Whether there is time to read every finished batch once more, for what describes the run as a whole."""
    if not is_stopped or not layout.batches_table.is_file():
        return True
    return int(pq.read_metadata(layout.batches_table).num_rows) <= MOST_BATCHES_OF_A_STOPPED_RUN
