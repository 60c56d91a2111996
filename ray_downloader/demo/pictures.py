"""Pictures for the demo servers: flowers drawn from a seed, as real files of four formats.

The same seed gives the same bytes. Some pictures depend on their EXIF orientation, some have alpha, some are animated.
"""

from __future__ import annotations

import colorsys
import io
import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

#: Number of pictures of each format; further images repeat them.
VARIANTS = 12
_ORIENTATION_TAG = 0x0112
_SIZES = ((1024, 768), (800, 1200), (640, 480), (1400, 934), (200, 150))


def picture(picture_format: str, number: int) -> bytes:
    """The bytes of one picture file: "jpeg", "png", "webp" or "gif"."""
    variant = number % VARIANTS
    flower = _flower(random.Random(variant), _SIZES[variant % len(_SIZES)])
    if picture_format == "jpeg":
        return _jpeg(flower, turned=variant % 4 == 3)
    if picture_format == "png":
        return _png(flower, transparent=variant % 3 == 2)
    if picture_format == "gif":
        return _gif(flower, frames=1 + variant % 3)
    return _encoded(flower, "WEBP", quality=80)


@dataclass(frozen=True, slots=True)
class PictureShelf:
    """All pictures, drawn once."""

    files: dict[tuple[str, int], bytes]

    @classmethod
    def drawn(cls, formats: set[str]) -> PictureShelf:
        """Draw every variant of the formats."""
        return cls({(name, variant): picture(name, variant) for name in sorted(formats) for variant in range(VARIANTS)})

    def file(self, picture_format: str, number: int) -> bytes:
        """The file of image `number`."""
        return self.files[picture_format, number % VARIANTS]


def _flower(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """A daisy in front of a grainy meadow."""
    width, height = size
    meadow = Image.new("RGB", size, (60 + rng.randrange(60), 120 + rng.randrange(60), 50))
    grain = Image.frombytes("L", (width // 4, height // 4), rng.randbytes((width // 4) * (height // 4)))
    flower = Image.blend(meadow, grain.resize(size).convert("RGB"), 0.2)
    pen = ImageDraw.Draw(flower)
    centre_x, centre_y, reach = width / 2, height / 2, min(size) / 3
    petals = rng.randrange(5, 14)
    colour = _colour(rng.random())
    for petal in range(petals):
        angle = 2 * math.pi * petal / petals
        _disc(
            pen, centre_x + reach * math.cos(angle) * 0.7, centre_y + reach * math.sin(angle) * 0.7, reach / 3, colour
        )
    _disc(pen, centre_x, centre_y, reach / 2.5, (250, 200, 40))
    return flower


def _colour(hue: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.6, 0.95)
    return int(red * 255), int(green * 255), int(blue * 255)


def _disc(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _jpeg(flower: Image.Image, turned: bool) -> bytes:
    if not turned:
        return _encoded(flower, "JPEG", quality=88)
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = 6  # stored on its side: a viewer rotates it by a quarter clockwise
    return _encoded(flower.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=88, exif=exif)


def _png(flower: Image.Image, transparent: bool) -> bytes:
    if transparent:
        flower.putalpha(Image.linear_gradient("L").resize(flower.size))
    return _encoded(flower.resize((flower.width // 2, flower.height // 2)), "PNG", compress_level=1)


def _gif(flower: Image.Image, frames: int) -> bytes:
    small = flower.resize((flower.width // 2, flower.height // 2))
    turns = [small.rotate(30 * frame) for frame in range(1, frames)]
    return _encoded(small, "GIF", save_all=True, append_images=turns, duration=200)


def _encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()
