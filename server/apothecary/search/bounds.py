"""How much of a resource searches may find it by. What is over it is refused where it comes in, whatever way it comes:
an index that was cut short would answer wrongly (https://hl7.org/fhir/R5/search.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from apothecary.errors import TooLarge
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.search.parameters import Registry
from apothecary.search.rows import Indexed
from apothecary.search.types.resource_text import characters
from apothecary.settings import Settings

OPERATOR = 20
"""So many times as much as a request may write, an operator's own files may hold: large code systems come that way."""


def bounded_rows(
    settings: Settings,
    registry: Registry,
    resource: JSON,
    version: FhirVersion,
    text: bytes,
    own: Sequence[str] = (),
    *,
    times: int = 1,
) -> list[Indexed]:
    """The index rows of a resource, whose `text` is that of `json.dumps`. Raises TooLarge where they are more than
    `times` what the settings allow, or the texts are longer; ValueError for a value that no index can hold.
    """
    most = settings.text_limit * times
    # Only a long text can hold many characters.
    if len(text) > most and characters(resource, version) > most:
        raise TooLarge(
            f"the resource has more than {most} characters of text ({_named('TEXT_LIMIT', times)})",
            remedy="Put long documents into a Binary.",
        )
    most = settings.index_limit * times
    try:
        return registry.rows(resource, version, own, most, text)
    except TooLarge as error:
        raise TooLarge(
            f"the resource has more than {most} values that searches find it by ({_named('INDEX_LIMIT', times)})",
            remedy="Divide it into several resources.",
        ) from error


def _named(setting: str, times: int) -> str:
    return f"APOTHECARY_{setting}" if times == 1 else f"{times} times APOTHECARY_{setting}"
