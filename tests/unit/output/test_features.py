"""What `datasets` is told of a table, in the words that it reads."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from ray_downloader.output.features import features_metadata

SCHEMA = pa.schema(
    [("image", pa.binary()), ("size", pa.list_(pa.uint32())), ("at", pa.timestamp("ms", tz="UTC")), ("n", pa.int32())]
)


@pytest.mark.parametrize(
    ("picture", "feature"), [("image", {"_type": "Image"}), (None, {"dtype": "binary", "_type": "Value"})]
)
def test_every_column_is_named_and_pictures_only_where_they_can_be_decoded(
    picture: str | None, feature: dict[str, str]
) -> None:
    metadata = features_metadata(SCHEMA, picture)
    assert list(metadata) == ["huggingface"]
    assert json.loads(metadata["huggingface"]) == {
        "info": {
            "features": {
                "image": feature,
                "size": {"feature": {"dtype": "uint32", "_type": "Value"}, "_type": "Sequence"},
                "at": {"dtype": "timestamp[ms, tz=UTC]", "_type": "Value"},
                "n": {"dtype": "int32", "_type": "Value"},
            }
        }
    }


def test_a_dictionary_is_what_it_holds() -> None:
    schema = pa.schema([("word", pa.dictionary(pa.int32(), pa.string()))])
    features = json.loads(features_metadata(schema, None)["huggingface"])["info"]["features"]
    assert features == {"word": {"dtype": "string", "_type": "Value"}}
