"""Inside a Slurm job: `cluster=slurm` profiles with `srun` ranks, and runs a Ray of its own on the job's nodes.

`allocation.py` and `commands.py` decide (pure), the others act. `slurm/ray_downloader.sbatch` only finds the Python
interpreter and passes signals on; `python -m ray_downloader.slurm` writes that script where the user wants it.
"""
