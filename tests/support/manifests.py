"""IIIF documents as libraries serve them."""

from __future__ import annotations

from typing import Any

_PRESENTATION_3 = "http://iiif.io/api/presentation/3/context.json"
_PRESENTATION_2 = "http://iiif.io/api/presentation/2/context.json"


def manifest(url: str, host: str, name: str, pages: int) -> dict[str, Any]:
    """A book of version 3; its pages are pictures of an image service of `host`."""
    return {
        "@context": _PRESENTATION_3,
        "id": url,
        "type": "Manifest",
        "label": {"en": [name]},
        "rights": "http://creativecommons.org/licenses/by/4.0/",
        "items": [
            {
                "id": f"{url}/canvas/{page}",
                "type": "Canvas",
                "items": [{"type": "AnnotationPage", "items": [_painting(f"http://{host}/images/{name}-{page}")]}],
            }
            for page in range(pages)
        ],
    }


def _painting(service: str) -> dict[str, Any]:
    image = f"{service}/full/max/0/default.jpg"
    body = {"id": image, "type": "Image", "service": [{"id": service, "type": "ImageService3"}]}
    return {"type": "Annotation", "motivation": "painting", "body": body}


def collection(url: str, manifests: list[str], collections: list[str] | None = None) -> dict[str, Any]:
    """A collection of version 2."""
    return {
        "@context": _PRESENTATION_2,
        "@id": url,
        "@type": "sc:Collection",
        "manifests": [{"@id": one, "@type": "sc:Manifest", "label": "a book"} for one in manifests],
        "collections": [{"@id": one, "@type": "sc:Collection"} for one in collections or []],
    }
