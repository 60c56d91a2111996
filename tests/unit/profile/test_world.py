import pytest

from ray_downloader.profile.mpi import enter_world
from ray_downloader.profile.world import RANKS_VARIABLE, Alone, WorldError, announced_size, require_one_world


def test_nobody_announces_a_size_to_a_process_started_by_hand() -> None:
    assert announced_size({"SLURM_NTASKS": "8", "PATH": "/bin"}) is None


@pytest.mark.parametrize("variable", ["SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", RANKS_VARIABLE])
def test_every_launcher_announces_its_size(variable: str) -> None:
    assert announced_size({variable: "4"}) == 4


def test_mpiexec_inside_a_slurm_step_counts_ranks_where_slurm_counts_daemons() -> None:
    assert announced_size({"SLURM_STEP_NUM_TASKS": "2", "PMI_SIZE": "8"}) == 8


def test_a_world_of_the_announced_size_is_fine() -> None:
    require_one_world(4, {"PMI_SIZE": "4"})
    require_one_world(1, {})


def test_four_worlds_of_one_are_refused_with_the_way_out() -> None:
    with pytest.raises(WorldError, match=r"started 4 processes but MPI sees a world of 1.*srun --mpi=pmix"):
        require_one_world(1, {"SLURM_STEP_NUM_TASKS": "4"})


@pytest.mark.parametrize("environ", [{}, {"SLURM_STEP_NUM_TASKS": "1"}])
def test_a_single_process_needs_no_mpi(environ: dict[str, str]) -> None:
    assert enter_world(environ) == Alone()


def test_alone_one_gets_the_only_share_and_brings_it_home() -> None:
    assert Alone().scatter([["work"]]) == ["work"]
    assert Alone().gather("done") == ["done"]
