"""The entry to the image stage: one body in, one stored picture or one `ImageError` out.

Well-formed JPEG, PNG and WebP of moderate size are decoded in this process. Whatever the header parser finds odd, large
or slow goes to the decoder process, so that a decoder crash costs one row (`docs/decisions/0004-decoder-crashes.md`).
"""

from __future__ import annotations

from concurrent.futures import Future

from ray_downloader.errors import ErrorKind
from ray_downloader.image.careful import read_carefully
from ray_downloader.image.decode import decode, reduction
from ray_downloader.image.decoder_memory import decoding_bytes, refuse_what_does_not_fit
from ray_downloader.image.header import read_header, refuse_unwanted
from ray_downloader.image.isolation import DecoderProcess
from ray_downloader.image.model import Header, ImageError, ImageOptions, ProcessedImage, Size, upright
from ray_downloader.image.produce import decoded_scale, keep_received, needs_decoding, produce
from ray_downloader.spill import Body, BodyFile

#: A worker has to stay below 400 MB (`cluster.worker_memory_mb`), so bigger pictures are decoded in the other process.
_IN_PROCESS_BYTES = 128 * 2**20
#: Nothing waits longer than half a second for a picture that is decoded here: a baseline JPEG takes 5 to 10 ms per
#: million pixels, another one 2 ms for each of its scans, PNG and WebP up to 30 ms. A PNG is unpacked to its end, even
#: if that is long after its last pixel: 2.1 s for each MB of zeros that were packed as well as can be.
_QUICK_PIXELS = {"jpeg": 40_000_000, "png": 16_000_000, "webp": 16_000_000}
_QUICK_SCANNED_PIXELS = 200_000_000
_QUICK_PNG_BYTES = 2**18

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
    started = start(body, options, complete=complete, isolated=isolated)
    return started if isinstance(started, ProcessedImage) else started.result()


def start(
    body: Body, options: ImageOptions, *, complete: bool = True, isolated: bool = False
) -> ProcessedImage | Future[ProcessedImage]:
    """`process` that does not wait for the helper process.

    Returns:
        The picture if it was decoded here; else a future, whose exception is an `ImageError`.

    Raises:
        ImageError: As `process`.
    """
    if isinstance(body, BodyFile):  # too large for this process
        return _decoder.submit(body, options, complete=complete)
    header = read_header(body)
    size = _checked_size(header, options)
    _refuse_cut(header, body, complete)
    if isolated or _needs_helper(header, options):
        return _decoder.submit(body, options)
    if size is not None and not needs_decoding(header, options):
        return keep_received(body, header, size, options)
    by = _reduction(header, options)
    if decoding_bytes(header, by) > _IN_PROCESS_BYTES or _is_slow(header, len(body)):
        return _decoder.submit(body, options)
    try:
        picture = decode(body, header, by)
    except ImageError:
        return _decoder.submit(body, options)  # another reader tries, and gives the reason if it fails too
    return produce(body, header, picture, options)


def process_carefully(body: bytes, options: ImageOptions, *, complete: bool = True) -> ProcessedImage:
    """`process` as the decoder process does it, with every available reader.

    Raises:
        ImageError: The body cannot be turned into a stored picture.
    """
    header = read_header(body)
    size = _checked_size(header, options)
    _refuse_cut(header, body, complete)
    if not _needs_helper(header, options):
        if size is not None and not needs_decoding(header, options):
            return keep_received(body, header, size, options)
        by = _reduction(header, options)
        refuse_what_does_not_fit(decoding_bytes(header, by), len(body), _name(header), options)
        try:
            return produce(body, header, decode(body, header, by), options)
        except ImageError as error:
            if error.kind not in (ErrorKind.DECODE_FAILED, ErrorKind.TRUNCATED):
                raise
    return produce(body, header, read_carefully(body, header, options), options)


def _refuse_cut(header: Header, body: bytes, complete: bool) -> None:
    if header.cut and not complete:
        raise ImageError(ErrorKind.TRUNCATED, f"{header.image_format}: {len(body)} bytes end before the picture does")


def _is_slow(header: Header, size_bytes: int) -> bool:
    height, width = header.size or (0, 0)
    pixels = height * width
    if header.image_format == "png" and size_bytes > _QUICK_PNG_BYTES:
        return True
    return pixels > _QUICK_PIXELS[header.image_format] or pixels * header.scans > _QUICK_SCANNED_PIXELS


def _name(header: Header) -> str:
    height, width = header.size or (0, 0)
    return f"{header.image_format} of {width} x {height} pixels"


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
