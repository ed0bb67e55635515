"""Under which name the index holds what a parameter of R4 or R4B finds.

https://hl7.org/fhir/R5/searchparameter-registry.html

`keys.json` lists the parameters whose rows are not those of R5's parameter of the same code. `make search-keys` works
it out from what each parameter takes from the same resources, in their forms of each release; `docs/versions.md` shows
it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from apothecary.fhir.releases import FhirVersion

DATA = Path(__file__).with_name("keys.json")

Keys = Mapping[FhirVersion, Mapping[str, Mapping[str, str]]]
"""By release, resource type and code of the parameter."""

_KEYS = msgspec.json.Decoder(dict[FhirVersion, dict[str, dict[str, str]]])


def key(version: FhirVersion, resource_type: str, code: str) -> str:
    """The name in the index: a code of R5, or one of an older release with the release before it, as `own` makes it."""
    return _keys()[version].get(resource_type, {}).get(code, code)


def own(version: FhirVersion, code: str) -> str:
    """The name of rows that are read from the form of `version`."""
    return f"{version}.{code}"


def owner(name: str) -> FhirVersion:
    """The release from whose form the rows of that name are read."""
    version, dot, _ = name.partition(".")
    return FhirVersion(version) if dot else FhirVersion.R5


def renamed(version: FhirVersion, resource_type: str) -> Mapping[str, str]:
    """The parameters of a type that R5 calls otherwise: its code by theirs."""
    listed = _keys()[version].get(resource_type, {}) if version is not FhirVersion.R5 else {}
    return {code: name for code, name in listed.items() if owner(name) is FhirVersion.R5}


@cache
def fingerprint() -> str:
    """Another one for each content of the file."""
    return hashlib.sha256(DATA.read_bytes()).hexdigest()[:12]


@cache
def _keys() -> Keys:
    return _KEYS.decode(DATA.read_bytes())
