"""Makes the JPEGs that every contender downloads: the same on every machine, and as hard to decode as photographs.

Natural pictures have an amplitude spectrum of about 1/f (Field 1987), which a lens cuts off at the fine end; on top
lies the noise of a sensor. They set the bytes a pixel, on which the cost of decoding hangs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Kind:
    """One size of picture.

    Args:
        sharpness: Frequency, in cycles a pixel, where the lens passes 1/e; sets the size of the file.
        count: Different pictures.
    """

    width: int
    height: int
    sharpness: float
    count: int


#: The two sizes that earlier measurements used, 62 kB and 337 kB; and small ones for where pixels do not matter.
KINDS = {"small": Kind(640, 480, 0.1, 64), "big": Kind(1600, 1200, 0.092, 24), "thumb": Kind(320, 240, 0.1, 16)}
QUALITY = 85
_NOISE = 1.5
#: Average and contrast of the brightness of many photographs; chroma varies less.
_BRIGHTNESS, _CONTRAST, _CHROMA = 118.0, 50.0, 14.0


def make_pictures(folder: Path) -> dict[str, list[Path]]:
    """The files of each kind, made where they are not there yet."""
    made: dict[str, list[Path]] = {}
    for name, kind in KINDS.items():
        made[name] = [folder / f"{name}{number}.jpg" for number in range(kind.count)]
        for number, path in enumerate(made[name]):
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(make_jpeg(kind, number))
    return made


def make_jpeg(kind: Kind, seed: int) -> bytes:
    """One picture, different for each `seed`."""
    rng = np.random.default_rng(seed)
    brightness = _BRIGHTNESS + _CONTRAST * _pink(rng, kind) + rng.normal(0, _NOISE, (kind.height, kind.width))
    planes = [brightness, *(128 + _CHROMA * _pink(rng, kind) for _ in range(2))]
    ycrcb = np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)
    bgr = cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


def _pink(rng: np.random.Generator, kind: Kind) -> npt.NDArray[np.float64]:
    """White noise filtered to an amplitude of 1/f up to the lens's limit; mean 0, deviation 1."""
    spectrum = np.fft.rfft2(rng.normal(size=(kind.height, kind.width)))
    rows, columns = np.fft.fftfreq(kind.height)[:, None], np.fft.rfftfreq(kind.width)[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    lens = np.exp(-((frequency / kind.sharpness) ** 2))
    plane = np.fft.irfft2(spectrum / frequency * lens, s=(kind.height, kind.width))
    return np.asarray(plane / plane.std())
