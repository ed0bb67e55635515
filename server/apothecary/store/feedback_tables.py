"""The table of what EHRs told of cards: `cds_feedback` has a row for each statement, service, outcome and reason, with
how often it was told. No card is kept, nor who saw it, nor for whom.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Table

from apothecary.store.tables import metadata, text

cds_feedback = Table(
    "cds_feedback",
    metadata,
    Column("mark", text, nullable=False, comment="of the statement; empty: of none that is known, or of the others"),
    Column("service", text, nullable=False),
    Column("outcome", text, nullable=False),
    Column("system", text, nullable=False, comment="of the reason; empty where there is none"),
    Column("code", text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("commented", BigInteger, nullable=False, comment="how many of them came with a comment"),
    Column("latest", BigInteger, nullable=False, comment="when the last one came, in microseconds since 1970"),
    PrimaryKeyConstraint("mark", "service", "outcome", "system", "code"),
)
