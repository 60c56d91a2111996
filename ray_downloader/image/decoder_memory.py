"""How much memory a picture takes to decode, estimated from its header before anything is decoded. Pure."""

from __future__ import annotations

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import Header, ImageError, ImageOptions

#: The decoder process without a picture: 100 MB measured with all its readers, and temporaries.
_OWN_MB = 136
_BGR_BYTES = 3
#: Progressive JPEG: two bytes per coefficient, three components, at any scale.
_COEFFICIENT_BYTES = 6
#: OpenCV decodes a PNG into one array and copies it into another, as it may be one frame of several.
_PNG_COPIES = 2
#: WebP is decoded to 32-bit pixels first.
_WEBP_BYTES = 4


def available_bytes(options: ImageOptions) -> int:
    """What the decoder process may allocate for one picture, its received bytes included."""
    return (options.decoder_memory_mb - _OWN_MB) * 2**20


def decoding_bytes(header: Header, by: int) -> int:
    """What OpenCV and our conversion allocate for a picture that is reduced by the divisor `by` while it is decoded."""
    height, width = header.size or (0, 0)
    pixels = height * width
    if header.has_alpha or header.bits > 8:
        decoded = pixels * (4 if header.has_alpha else _BGR_BYTES) * header.bits // 8
    else:
        decoded = pixels // (by * by) * _BGR_BYTES
    if header.image_format == "png":
        return _PNG_COPIES * decoded
    if header.image_format == "webp":
        return decoded + pixels * _WEBP_BYTES
    return decoded + (pixels * _COEFFICIENT_BYTES if header.buffered else 0)


def refuse_what_does_not_fit(size_bytes: int, body_bytes: int, what: str, options: ImageOptions) -> None:
    """Check an estimate, so that a picture which cannot be decoded is not half decoded first.

    Raises:
        ImageError: `too_many_pixels`.
    """
    if size_bytes + body_bytes > available_bytes(options):
        raise ImageError(
            ErrorKind.TOO_MANY_PIXELS,
            f"{what}: decoding takes about {(size_bytes + body_bytes) >> 20} MB, and "
            f"cluster.decoder_memory_mb={options.decoder_memory_mb} leaves {available_bytes(options) >> 20}",
        )
