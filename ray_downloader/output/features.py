"""What Hugging Face's `datasets` reads in the schema of a table with pictures: which column to decode, and all types.

Version 5.2 decodes only a column of its own shape, a struct of bytes and path, as `tool=export` writes it. That the
plain bytes of `successes.parquet` are pictures it takes from the data card (`data_card.py`), or from
`.cast_column("image", datasets.Image())`.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa


def features_metadata(schema: pa.Schema, picture: str | None) -> dict[str, str]:
    """The schema's metadata.

    Args:
        schema: All columns; `datasets` takes features only if they name each.
        picture: The column that holds encoded pictures; None where pictures are raw pixels, which it cannot decode.
    """
    features = {column.name: _feature(column.type) for column in schema}
    if picture is not None:
        features[picture] = {"_type": "Image"}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    if pa.types.is_dictionary(kind):
        return _feature(kind.value_type)
    return {"dtype": str(kind), "_type": "Value"}
