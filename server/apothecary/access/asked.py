"""What a request asked for, as its record tells it: names of parameters, and values as they are or as keyed hashes.

https://hl7.org/fhir/R5/auditevent-definitions.html#AuditEvent.entity.query
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from apothecary.fhir.json import dumps

# So much of a query stands in a record, in bytes; of a longer one the rest is told by its length and its hash.
LONGEST = 32 * 1024
# Of those who were not let in, so much: files are kept up to a number, and who may do nothing must not fill them.
SHORT = 1024
# So deep parts of parameters are looked into.
DEEPEST = 8

Shown = Callable[[str], str]


def shown_with(key: bytes | None) -> Shown:
    """How a value stands in a record: itself, or with a key the first 128 bits of its HMAC-SHA256. Equal values look
    alike, so that who has the key can find one again.
    """
    if key is None:
        return lambda value: value
    # The secret signs other things, too: https://www.rfc-editor.org/rfc/rfc5869
    own = hmac.digest(key, b"values in records", "sha256")
    return lambda value: hmac.new(own, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def query(text: str, shown: Shown | None) -> str:
    """A query string or a form. `shown` of None leaves it as it came, to the letter."""
    if shown is None or not text:
        return text
    pairs = (one.partition("=") for one in text.split("&"))
    return "&".join(f"{name}{equals}{shown(value) if value else ''}" for name, equals, value in pairs)


def posted(document: Any, shown: Shown) -> str:
    """The parameters of an operation that were POSTed, as a query: https://hl7.org/fhir/R5/parameters.html"""
    if not isinstance(document, Mapping) or document.get("resourceType") != "Parameters":
        return ""
    return "&".join(f"{quote(name)}={quote(shown(value))}" for name, value in _values(document.get("parameter"), 0))


def _values(parameters: Any, depth: int) -> Iterator[tuple[str, str]]:
    for one in parameters if isinstance(parameters, list) and depth < DEEPEST else ():
        if not isinstance(one, Mapping):
            continue
        name = str(one.get("name", ""))
        for key, value in one.items():
            if key.startswith("value"):
                yield name, value if isinstance(value, str) else dumps(value).decode()
            elif key == "resource":
                # A document that was sent: its text is told apart, not told.
                yield name, hashlib.sha256(dumps(value)).hexdigest()
        for inner, value in _values(one.get("part"), depth + 1):
            yield f"{name}.{inner}", value


def entries(bundle: Any, shown: Shown | None) -> list[tuple[str, str]]:
    """Method and address of each entry of a batch or transaction, with the condition of a create."""
    found = []
    listed = bundle.get("entry") if isinstance(bundle, Mapping) else None
    for one in listed if isinstance(listed, list) else ():
        request = one.get("request") if isinstance(one, Mapping) else None
        if not isinstance(request, Mapping):
            continue
        path, mark, text = str(request.get("url", "")).partition("?")
        address = f"{path}{mark}{query(text, shown)}"
        if condition := request.get("ifNoneExist"):
            head, mark, text = str(condition).rpartition("?")
            address = f"{address} if-none-exist {head}{mark}{query(text, shown)}"
        found.append((str(request.get("method", "")), address))
    return found


def cut(text: str, longest: int = LONGEST) -> tuple[bytes, str | None]:
    """The bytes of a query that stand in a record, and what is said of one that is longer."""
    whole = text.encode("utf-8", "surrogatepass")
    if len(whole) <= longest:
        return whole, None
    said = f"the first {longest} of {len(whole)} bytes, of which the SHA-256 is {hashlib.sha256(whole).hexdigest()}"
    return whole[:longest], said
