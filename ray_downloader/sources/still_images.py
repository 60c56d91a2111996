"""Which rows of a table of media are still images, by `type` and `format` as publishers fill them in: SQL over both.

Vocabularies are mixed in practice: `type` may be a DCMI type, its URI, a word ("Photograph") or a media type, and so
may `format`, so both are read alike.
"""

from __future__ import annotations

_PICTURES = (
    "photo", "photos", "photographs?", "pictures?", "illustrations?", "drawings?", "paintings?", "scans?", "slides?",
    "micrographs?", "radiographs?", "x-?rays?",
)  # fmt: skip
_OTHERS = (
    "moving[ _-]?images?", "video", "audio", "sounds?", "text", "datasets?", "collections?", "events?", "services?",
    "software", "physical[ _-]?objects?", "interactive[ _-]?resources?", "3d.*", "models?",
)  # fmt: skip
_SUBTYPES = "jpe?g|pjpeg|png|gif|tiff?|webp|bmp|jp2|jpx|heic|heif|avif|jxl|svg"
_OTHER_SUBTYPES = "mp[34]|wav|ogg|oga|flac|m4a|avi|mov|mpe?g|webm|pdf|html?|stl|obj|ply|nxs"
#: Words of the vocabularies, also at the end of a URI; media types; their subtypes, or endings of files; plain words.
_IMAGE = (
    rf"(^|[/#: ])(still[ _-]?)?images?$|^image[/ ]|^\.?({_SUBTYPES})$|^((digital|colou?r) )?({'|'.join(_PICTURES)})\b"
)
_OTHER = rf"(^|[/#: ])({'|'.join(_OTHERS)})$|^(video|audio|text|model)[/ ]|^\.?({_OTHER_SUBTYPES})$"
#: An IIIF manifest or other metadata, whatever `type` says.
_DOCUMENT = r"^application/(ld\+)?(json|xml|rdf\+xml|pdf|zip)\b|^json$"
#: Endings of files that are not images.
_ENDING = r"\.(mp[34]|wav|ogg|oga|ogv|flac|aiff?|m4[av]|avi|mov|mpe?g|webm|wmv|pdf|docx?|txt|json|xml|zip|stl|obj|ply)$"


def is_still_image_sql(unknown: str) -> str:
    """SQL over `type` and `format` that is true for still images.

    1. The values of nearly all rows, without a pattern: patterns cost most of the time.
    2. A format that is a document's: not an image.
    3. A type that is known decides; publishers write formats such as text/html beside StillImage.
    4. Otherwise a format that is known decides.
    5. Otherwise `unknown`, SQL of its own.
    """
    return f"""
    CASE WHEN type = 'StillImage' AND (format IS NULL OR starts_with(format, 'image/')) THEN true
         WHEN {_matches("format", _DOCUMENT)} THEN false
         WHEN {_matches("type", _OTHER)} THEN false
         WHEN {_matches("type", _IMAGE)} THEN true
         WHEN {_matches("format", _OTHER)} THEN false
         WHEN {_matches("format", _IMAGE)} THEN true
         ELSE {unknown} END
    """


def has_other_ending_sql(url: str) -> str:
    """SQL that is true for URLs of sound, films, texts and models."""
    return f"regexp_matches(split_part(split_part(lower({url}), '?', 1), '#', 1), '{_ENDING}')"


def has_image_ending_sql(url: str) -> str:
    """SQL that is true for URLs that end like image files."""
    path = f"split_part(split_part(lower({url}), '?', 1), '#', 1)"
    return rf"coalesce(regexp_matches({path}, '\.({_SUBTYPES})$'), false)"


def _matches(column: str, pattern: str) -> str:
    return f"coalesce(regexp_matches(lower({column}), '{pattern}'), false)"
