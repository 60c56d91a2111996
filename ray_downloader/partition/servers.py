"""From origins to servers: the URL standard is applied in Python, once per distinct origin instead of once per row."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from ray_downloader.partition.batch_plan import PartitionPlan
from ray_downloader.partition.server_key import BadUrlError, server_key

_CHUNK_ROWS = 100_000


def name_servers(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Fill the table `origins(origin, server_name)` for the accepted rows of `staged`; returns rows by server.

    A `server_name` of NULL means that the origin is not a URL.
    """
    connection.execute("CREATE OR REPLACE TABLE origins (origin VARCHAR, server_name VARCHAR)")
    distinct = connection.sql("SELECT DISTINCT origin FROM staged WHERE reason IS NULL")
    with connection.cursor() as writer:
        for chunk in distinct.to_arrow_reader(_CHUNK_ROWS):
            origins = chunk.column(0)
            named = pa.table({"origin": origins, "server_name": _names(origins.to_pylist())})
            writer.register("named", named)
            writer.execute("INSERT INTO origins SELECT * FROM named")
            writer.unregister("named")
    return dict(
        connection.sql(
            "SELECT server_name, count(*) FROM staged JOIN origins USING (origin)"
            " WHERE reason IS NULL AND server_name IS NOT NULL GROUP BY ALL"
        ).fetchall()
    )


def order_servers(connection: duckdb.DuckDBPyConnection, plan: PartitionPlan) -> None:
    """Fill the table `places(server_name, place)` with the order of servers in the plan."""
    places = pa.table(
        {
            "server_name": pa.array(plan.servers, pa.string()),
            "place": pa.array(range(len(plan.servers)), pa.int32()),
        }
    )
    connection.register("planned", places)
    connection.execute("CREATE OR REPLACE TABLE places AS SELECT * FROM planned")
    connection.unregister("planned")


def _names(origins: Iterable[str]) -> pa.Array:
    return pa.array(map(_name_or_none, origins), pa.string())


def _name_or_none(origin: str) -> str | None:
    try:
        return server_key(origin)
    except BadUrlError:
        return None
