"""What views leave in the WSGI environment for the record of the request (`apothecary.rest.auditing`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from apothecary.access.came import named
from apothecary.errors import Unreachable

# The answer as JSON, whatever form it goes out in.
ANSWERED = "apothecary.answered"
# The document that the request carried, parsed.
SENT = "apothecary.sent"
# The form of a search by POST.
FORM = "apothecary.form"
# The file of an export that is the answer: its type, and how many resources are in it.
FILE = "apothecary.file"
# Resources that a page shows besides its answer: a list that grows.
SHOWN = "apothecary.shown"
# The resources in the answer, by their names; only while there is a record.
NAMED = "apothecary.named"
# What is called with each further part of an answer, as JSON, before it is sent; only while there is a record.
CONTINUED = "apothecary.continued"


def came(environ: Mapping[str, Any]) -> Sequence[str]:
    """The resources in the answer of a request, by their names. Raises Unreachable where that cannot be told."""
    body = environ.get(ANSWERED)
    try:
        found = named(body) if body else []
    except msgspec.DecodeError as error:
        raise Unreachable("the answer cannot be recorded") from error
    shown = environ.get(SHOWN)
    return list(dict.fromkeys([*found, *shown])) if shown else found
