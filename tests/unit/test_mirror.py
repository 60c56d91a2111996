"""Tests mirror the sources: where the tests of a module are is known from its name, or said here."""

from __future__ import annotations

from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SOURCES = CHECKOUT / "ray_downloader"
UNIT = CHECKOUT / "tests" / "unit"

#: Modules whose tests are elsewhere, as they need the real thing, or as what they do shows only together with others.
HOMES = {
    # The commands are run in processes of their own, or by the tests of what they call.
    "__main__.py": "unit/config/test_entry.py",
    "grafana/__main__.py": "unit/grafana/test_provision.py",
    "profile/__main__.py": "mpi/test_profile_ranks.py",
    "report/__main__.py": "unit/report/test_write.py",
    "slurm/__main__.py": "unit/slurm/test_main.py",
    "pipeline.py": "unit/partition/test_same_list.py",
    "progress.py": "unit/monitor/test_live.py",
    "status.py": "unit/monitor/test_server_status.py",
    "errors.py": "unit/test_constants.py",
    # Ray and MPI.
    "cluster/actor_calls.py": "ray/test_server_actor.py",
    "cluster/budget_actor.py": "ray/test_server_actor.py",
    "cluster/ports.py": "unit/cluster/test_driver.py",
    "cluster/task_pool.py": "e2e/test_tools.py",
    "cluster/watchers.py": "simulation/test_eta.py",
    "profile/mpi.py": "mpi/test_profile_ranks.py",
    # Hydra.
    "config/compose.py": "conf/test_compose.py",
    "config/plain_values.py": "conf/test_plain_values.py",
    # Servers on loopback.
    "demo/origin.py": "http/test_demo_site.py",
    "demo/site.py": "http/test_demo_site.py",
    "manifests/fetching.py": "http/test_manifests.py",
    "manifests/store.py": "http/test_manifests.py",
    "manifests/watch.py": "http/test_manifests.py",
    "partition/documents.py": "http/test_manifests.py",
    "profile/probes.py": "http/test_profile_stage.py",
    "profile/stage.py": "http/test_profile_stage.py",
    # One test of all hosts that are known to serve smaller versions.
    "fetch/renditions/flickr.py": "unit/fetch/test_renditions.py",
    "fetch/renditions/iiif.py": "unit/fetch/test_renditions.py",
    "fetch/renditions/inaturalist.py": "unit/fetch/test_renditions.py",
    "fetch/renditions/model.py": "unit/fetch/test_renditions.py",
    "fetch/renditions/wikimedia.py": "unit/fetch/test_renditions.py",
    # Bytes of pictures: headers by what is said of a picture, damage by what is found, helpers by what survives.
    "image/png_header.py": "unit/image/test_header.py",
    "image/webp_header.py": "unit/image/test_header.py",
    "image/jpeg_header.py": "unit/image/test_header.py",
    "image/jpeg_warnings.py": "unit/image/test_holes.py",
    "image/jpeg_zeros.py": "unit/image/test_holes.py",
    "image/opencv.py": "unit/image/test_decode.py",
    "image/crash_note.py": "unit/image/test_crash_safety.py",
    "image/decoder_main.py": "unit/image/test_crash_safety.py",
    "image/decoder_memory.py": "unit/image/test_slow_headers.py",
    "image/isolation.py": "unit/image/test_crash_safety.py",
    # What a finished batch and its reports consist of.
    "output/rejecting.py": "unit/tools/test_placeholders.py",
    "output/verify.py": "unit/output/test_damage.py",
    "report/gather.py": "unit/report/test_write.py",
    "slurm/node_check.py": "unit/slurm/test_nodes.py",
    "slurm/node_memory.py": "unit/slurm/test_ray_words.py",
    "tools/builtin/export_card.py": "unit/tools/builtin/test_export.py",
    "tools/builtin/lance_dataset.py": "readers/test_readers.py",
    # Results in an object store.
    "stores/base.py": "unit/stores/test_session.py",
    "stores/client.py": "http/test_object_store.py",
    "stores/sent_objects.py": "unit/stores/test_session.py",
    "stores/published.py": "unit/stores/test_session.py",
    # A run that takes pictures from earlier ones.
    "output/reused.py": "unit/test_reuse.py",
    "partition/base_links.py": "unit/test_reuse.py",
    "partition/base_rows.py": "unit/test_reuse.py",
    # Lists are tested by their form, whichever module has a hand in it, and datasets by what is read of a list.
    "sources/base.py": "unit/sources/test_every_dataset.py",
    "sources/choose.py": "unit/sources/test_well_known.py",
    "sources/credit.py": "unit/sources/test_dwca.py",
    "sources/coco.py": "unit/sources/test_well_known.py",
    "sources/conceptual_captions.py": "unit/sources/test_well_known.py",
    "sources/encoding.py": "unit/sources/test_guess_encoding.py",
    "sources/generic.py": "unit/sources/test_every_dataset.py",
    "sources/idigbio.py": "unit/sources/test_well_known.py",
    "sources/iiif.py": "unit/sources/test_well_known.py",
    "sources/iiif_documents.py": "unit/sources/test_well_known.py",
    "sources/inaturalist.py": "unit/sources/test_well_known.py",
    "sources/json_documents.py": "unit/partition/test_forms_of_lists.py",
    "sources/laion.py": "unit/sources/test_every_dataset.py",
    "sources/locate.py": "unit/sources/test_inputs.py",
    "sources/meta.py": "unit/sources/test_archive.py",
    "sources/open_table.py": "unit/sources/test_inputs.py",
    "sources/openimages.py": "unit/sources/test_well_known.py",
    "sources/tables.py": "unit/partition/test_forms_of_lists.py",
    "sources/text.py": "unit/partition/test_forms_of_lists.py",
    "sources/unpack.py": "unit/sources/test_archive.py",
    "sources/wit.py": "unit/sources/test_well_known.py",
    "sources/yfcc100m.py": "unit/sources/test_well_known.py",
}


def modules() -> list[str]:
    return sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py") if path.name != "__init__.py")


def own(module: str) -> Path:
    return UNIT / Path(module).with_name(f"test_{Path(module).name}")


def test_every_module_has_tests_of_its_own_name_or_a_home_for_them() -> None:
    homeless = [module for module in modules() if not own(module).is_file() and module not in HOMES]
    assert not homeless, "write tests/unit/<room>/test_<module>.py, or say in HOMES where the tests are"


def test_the_homes_are_there() -> None:
    gone = {module: home for module, home in HOMES.items() if not (CHECKOUT / "tests" / home).is_file()}
    assert not gone, "there is no such file of tests"
    assert not set(HOMES) - set(modules()), "there is no such module"


@pytest.mark.parametrize("room", ["politeness", "schedule", "worker", "run_folder"])
def test_rooms_that_need_nothing_real_have_no_such_homes(room: str) -> None:
    assert not [module for module in HOMES if module.startswith(f"{room}/")]
