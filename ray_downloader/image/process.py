"""The entry to the image stage: one body in, one stored picture or one `ImageError` out.

Well-formed JPEG, PNG and WebP of moderate size are decoded in this process. Whatever the header parser finds odd goes
to the decoder process, so that a decoder crash costs one row (`docs/decisions/0004-decoder-crashes.md`).
"""

from __future__ import annotations

from ray_downloader.errors import ErrorKind
from ray_downloader.image.careful import read_carefully
from ray_downloader.image.decode import decode, reduction
from ray_downloader.image.header import read_header, refuse_unwanted
from ray_downloader.image.isolation import DecoderProcess
from ray_downloader.image.model import Header, ImageError, ImageOptions, ProcessedImage, Size, upright
from ray_downloader.image.produce import decoded_scale, keep_received, needs_decoding, produce

#: A worker has to stay below 400 MB (`cluster.worker_memory_mb`), so bigger pictures are decoded in the other process.
_IN_PROCESS_BYTES = 128 * 2**20
_BGR_BYTES = 3
#: BGRA, and BGR after compositing over white.
_ALPHA_BYTES = 7
#: Progressive JPEG: two bytes per coefficient, three components, at any scale.
_COEFFICIENT_BYTES = 6

_decoder = DecoderProcess()


def process(body: bytes, options: ImageOptions, *, complete: bool = True, isolated: bool = False) -> ProcessedImage:
    """Read, check, shrink and encode one body.

    Args:
        body: As received.
        options: How to store it.
        complete: Whether every byte that the server announced is there; only then is a missing end repaired.
        isolated: Decode in the helper process even if the header is well-formed (`crash_note.py`).

    Raises:
        ImageError: The body cannot be turned into a stored picture.
    """
    header = read_header(body)
    size = _checked_size(header, options)
    if header.cut and not complete:
        raise ImageError(ErrorKind.TRUNCATED, f"{header.image_format}: {len(body)} bytes end before the picture does")
    if isolated or _needs_helper(header, options):
        return _decoder.process(body, options)
    if size is not None and not needs_decoding(header, options):
        return keep_received(body, header, size, options)
    by = _reduction(header, options)
    if _decoding_bytes(header, by) > _IN_PROCESS_BYTES:
        return _decoder.process(body, options)
    try:
        picture = decode(body, header, by)
    except ImageError:
        return _decoder.process(body, options)  # another reader tries, and gives the reason if it fails too
    return produce(body, header, picture, options)


def process_carefully(body: bytes, options: ImageOptions) -> ProcessedImage:
    """`process` as the decoder process does it, with every available reader.

    Raises:
        ImageError: The body cannot be turned into a stored picture.
    """
    header = read_header(body)
    _checked_size(header, options)
    if not _needs_helper(header, options):
        try:
            return produce(body, header, decode(body, header, _reduction(header, options)), options)
        except ImageError as error:
            if error.kind is not ErrorKind.DECODE_FAILED:
                raise
    return produce(body, header, read_carefully(body, header, options), options)


def _reduction(header: Header, options: ImageOptions) -> int:
    return reduction(header, decoded_scale(header, options), options)


def _checked_size(header: Header, options: ImageOptions) -> Size | None:
    if header.size is None:
        return None
    size = upright(header.size, header.orientation)
    refuse_unwanted(size, options)
    return size


def _needs_helper(header: Header, options: ImageOptions) -> bool:
    return bool(header.odd) or header.cut or (header.has_icc and options.icc != "ignore")


def _decoding_bytes(header: Header, by: int) -> int:
    height, width = header.size or (0, 0)
    pixels = height * width
    if header.has_alpha:
        return pixels * _ALPHA_BYTES * header.bits // 8
    whole = pixels * _COEFFICIENT_BYTES if header.buffered else 0
    return whole + pixels // (by * by) * _BGR_BYTES * header.bits // 8
