"""Rows of IIIF documents: every picture of a manifest (Presentation API 2 and 3), or that of an `info.json`. Pure.

https://iiif.io/api/presentation/3.0/, https://iiif.io/api/image/3.0/. Numbers may already have become text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

#: The columns of each row; `dataset=iiif` recognizes a list by them.
IIIF_COLUMNS = (
    "image_url", "service", "version", "canvas", "label", "manifest", "rights", "attribution", "format",
    "document",
)  # fmt: skip
_Document = Mapping[str, Any]


def is_iiif(document: object) -> TypeGuard[_Document]:
    """Whether a JSON document is one of IIIF's."""
    if not isinstance(document, dict):
        return False
    contexts = document.get("@context")
    stated = [*(contexts if isinstance(contexts, list) else [contexts]), document.get("protocol")]
    return any("iiif.io/api/" in str(one) for one in stated) and bool(_id(document))


def iiif_rows(document: _Document) -> Iterator[dict[str, str | None]]:
    """A row per picture; for a collection, a row per manifest that it names."""
    if "image" in str(document.get("protocol", "")) or "/api/image/" in str(document.get("@context", "")):
        yield _row(service=_id(document), version=_version(document), canvas=_id(document))
    elif is_collection(document):
        for one in _members(document):
            url = _id(one)
            yield _row(image_url=url, document=url, label=_text(one.get("label")), manifest=_id(document))
    else:
        common = {
            "manifest": _id(document),
            "rights": _text(document.get("rights") or document.get("license")),
            "attribution": _attribution(document),
        }
        title = _text(document.get("label"))
        for canvas in _canvases(document):
            for picture in _pictures(canvas):
                label = ", ".join(text for text in (title, _text(canvas.get("label"))) if text)
                yield _row(**_source(picture), **common, canvas=_id(canvas), label=label or None)


def is_collection(document: _Document) -> bool:
    """Whether a document names others instead of pictures."""
    return "manifests" in document or _type(document) in {"Collection", "sc:Collection"}


def named_documents(collection: _Document) -> list[str]:
    """The URLs of the manifests and collections that a collection names, each once."""
    return list(dict.fromkeys(url for one in _members(collection) if (url := _id(one))))


def _members(collection: _Document) -> Iterator[_Document]:
    for key in ("manifests", "collections", "members", "items"):
        yield from _list(collection.get(key))
    for key in ("first", "next"):  # a collection in pages, in version 2
        page = collection.get(key)
        yield from _list({"id": page} if isinstance(page, str) else page)


def _row(**values: str | None) -> dict[str, str | None]:
    return {name: values.get(name) for name in IIIF_COLUMNS}


def _canvases(manifest: _Document) -> Iterator[_Document]:
    for sequence in _list(manifest.get("sequences")):
        yield from _list(sequence.get("canvases"))
    yield from _list(manifest.get("items"))


def _pictures(canvas: _Document) -> Iterator[_Document]:
    """What is painted on a canvas; of several choices, the one shown first."""
    for annotation in _list(canvas.get("images")):
        yield from _chosen(annotation.get("resource"))
    for page in _list(canvas.get("items")):
        for annotation in _list(page.get("items")):
            if "painting" in _list_of_text(annotation.get("motivation", "painting")):
                yield from _chosen(annotation.get("body"))


def _chosen(body: object) -> Iterator[_Document]:
    for one in _list(body)[:1]:
        if _type(one) in {"Choice", "oa:Choice"}:
            yield from _chosen(one.get("default") or one.get("items") or one.get("item"))
        elif _type(one) in {"", "Image", "dctypes:Image", "dcterms:Image"}:
            yield one


def _source(picture: _Document) -> dict[str, str | None]:
    service = next((one for one in _list(picture.get("service")) if "auth" not in str(one.get("@context", ""))), {})
    return {
        "image_url": _id(picture),
        "service": _id(service),
        "version": _version(service) if service else None,
        "format": _text(picture.get("format")),
    }


def _version(service: _Document) -> str:
    """Version of the Image API: the name of a whole picture depends on it."""
    stated = " ".join(str(service.get(key, "")) for key in ("type", "@type", "@context", "profile"))
    if "ImageService3" in stated or "image/3" in stated:
        return "3"
    return "1" if "image/1" in stated or "image-api/1" in stated or "image-api/compliance" in stated else "2"


def _attribution(document: _Document) -> str | None:
    statement = document.get("requiredStatement")
    return _text(statement.get("value") if isinstance(statement, dict) else document.get("attribution"))


def _text(value: object) -> str | None:
    """The first of the languages or values in which a text is given."""
    if isinstance(value, dict):
        return _text(value["@value"] if "@value" in value else next(iter(value.values()), None))
    if isinstance(value, list):
        return next((text for text in map(_text, value) if text), None)
    return str(value) if value else None


def _id(document: _Document) -> str | None:
    found = document.get("@id") or document.get("id")
    return found if isinstance(found, str) else None


def _type(document: _Document) -> str:
    return str(document.get("type") or document.get("@type") or "")


def _list(value: object) -> list[_Document]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _list_of_text(value: object) -> list[str]:
    return [str(one).rpartition(":")[2] for one in (value if isinstance(value, list) else [value])]
