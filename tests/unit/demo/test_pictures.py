import io

import pytest
from PIL import Image

from ray_downloader.demo.pictures import VARIANTS, picture


@pytest.mark.parametrize("picture_format", ["jpeg", "png", "webp", "gif"])
def test_a_picture_is_a_real_file_of_its_format(picture_format: str) -> None:
    with Image.open(io.BytesIO(picture(picture_format, 1))) as image:
        image.load()
        assert image.format is not None and image.format.lower() == picture_format


def test_the_same_number_gives_the_same_bytes_and_another_gives_others() -> None:
    assert picture("jpeg", 1) == picture("jpeg", 1 + VARIANTS)
    assert picture("jpeg", 1) != picture("jpeg", 2)


def test_some_pictures_are_upright_only_by_their_exif_orientation() -> None:
    orientations = {Image.open(io.BytesIO(picture("jpeg", number))).getexif().get(0x0112) for number in range(4)}
    assert orientations == {None, 6}


def test_some_pictures_have_alpha_and_some_move() -> None:
    assert {Image.open(io.BytesIO(picture("png", number))).mode for number in range(3)} == {"RGB", "RGBA"}
    assert {getattr(Image.open(io.BytesIO(picture("gif", number))), "n_frames", 1) for number in range(3)} == {1, 2, 3}
