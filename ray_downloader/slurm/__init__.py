"""Inside a Slurm job: `cluster=slurm` profiles with MPI ranks under `srun`, and runs its own Ray on the job's nodes.

`allocation.py` and `commands.py` decide (pure), the other modules act. `slurm/ray_downloader.sbatch` only finds the
Python interpreter and forwards signals; `python -m ray_downloader.slurm` copies that script into a folder.
"""
