"""Whom to credit for a picture: its creator, and the rights holder if that is another."""

from __future__ import annotations


def credit_sql(holder: str) -> str:
    """SQL for the column `creator`, given the column of the rights holder."""
    return (
        f"CASE WHEN creator IS NULL THEN {holder} WHEN {holder} IS NULL OR {holder} = creator THEN creator"
        f" ELSE creator || ' (rights holder: ' || {holder} || ')' END"
    )
