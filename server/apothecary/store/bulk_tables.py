"""The tables of bulk exports and publications: `bulk_job` has a row for each, `bulk_piece` what their files hold.

They lie in the database, so that every server of it can go on with a job, and give its files, and that a piece and the
place up to which the job came are committed together.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, PrimaryKeyConstraint, Table

from apothecary.store.tables import metadata, text

bulk_job = Table(
    "bulk_job",
    metadata,
    Column("id", text, primary_key=True),
    Column("kind", text, nullable=False, comment="export or publish"),
    Column("ended", Boolean, nullable=False, comment="whether nothing is left to be done"),
    Column("owner", text, nullable=False, comment="the process that works on it"),
    Column("until", BigInteger, nullable=False, comment="when it is anybody's again, in microseconds since 1970"),
    Column("expires", BigInteger, nullable=False, comment="when it is forgotten, in microseconds since 1970"),
    Column("data", LargeBinary, nullable=False, comment="the job as JSON"),
)
bulk_piece = Table(
    "bulk_piece",
    metadata,
    Column("file", text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="a part of a file in the format of deflate"),
    PrimaryKeyConstraint("file", "number"),
)
TABLES = (bulk_job, bulk_piece)
