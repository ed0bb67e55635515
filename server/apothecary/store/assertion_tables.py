"""The table of assertions that were used: `access_assertion` has a row for each, until it could not be used anyway."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table

from apothecary.store.tables import metadata, text

access_assertion = Table(
    "access_assertion",
    metadata,
    Column("client", text, nullable=False),
    Column("jti", text, nullable=False, comment="its SHA-256"),
    Column("expires", BigInteger, nullable=False, comment="in seconds since 1970"),
    PrimaryKeyConstraint("client", "jti"),
    Index("access_assertion_expires", "expires"),
)
TABLES = (access_assertion,)
