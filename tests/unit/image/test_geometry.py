from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.image.geometry import Geometry, plan_geometry
from ray_downloader.image.model import ImageOptions

SIDES = st.integers(1, 20_000)
MODES = ["keep_ratio_longest", "keep_ratio_shortest", "center_crop", "border", "none"]

PLANS = [
    ("keep_ratio_longest", (600, 800), Geometry((168, 224), (168, 224))),
    ("keep_ratio_longest", (223, 10), Geometry((223, 10), (223, 10))),
    ("keep_ratio_longest", (1, 10_000), Geometry((1, 224), (1, 224))),
    ("keep_ratio_longest", (448, 3), Geometry((224, 2), (224, 2))),  # 1.5 rounds up
    ("keep_ratio_shortest", (600, 800), Geometry((224, 299), (224, 299))),
    ("center_crop", (600, 800), Geometry((224, 299), (224, 224))),
    ("center_crop", (100, 800), Geometry((100, 800), (100, 224))),
    ("border", (600, 800), Geometry((168, 224), (224, 224))),
    ("border", (10, 20), Geometry((10, 20), (224, 224))),
    ("none", (600, 800), Geometry((600, 800), (600, 800))),
]


@pytest.mark.parametrize(("mode", "size", "expected"), PLANS)
def test_each_mode_has_its_sizes(mode: str, size: tuple[int, int], expected: Geometry) -> None:
    assert plan_geometry(size, ImageOptions(resize=mode)) == expected


@given(st.tuples(SIDES, SIDES), st.sampled_from(MODES))
def test_nothing_is_enlarged_and_nothing_vanishes(size: tuple[int, int], mode: str) -> None:
    scaled = plan_geometry(size, ImageOptions(resize=mode)).scaled
    assert all(1 <= after <= before for after, before in zip(scaled, size, strict=True))


@given(st.tuples(SIDES, SIDES))
def test_the_longer_side_fits_exactly(size: tuple[int, int]) -> None:
    final = plan_geometry(size, ImageOptions(image_size=224)).final
    assert max(final) == min(224, max(size))
