"""Composition and DocumentReference: https://hl7.org/fhir/R5/composition.html, https://hl7.org/fhir/R5/documentreference.html."""

from __future__ import annotations

from apothecary.fhir.json import JSON
from apothecary.versions.maps.dividing import codeable, participants
from apothecary.versions.rules import Codes, Map, Value

# R4 knows only preliminary, final, amended, entered-in-error: https://hl7.org/fhir/R5/valueset-composition-status.html.
_STATUS = Codes(
    older={
        "registered": "preliminary",
        "partial": "preliminary",
        "corrected": "amended",
        "appended": "amended",
    }
)


def _profile(format_: JSON) -> JSON:
    return {"valueCoding": format_}


def _format(profile: JSON) -> JSON | None:
    return profile.get("valueCoding")


MAPS = (
    Map("Composition", "Composition", codes={"status": _STATUS}),
    Map("Composition.event", "Composition.event", regrouped=(codeable("code", "detail", "detail"),)),
    Map(
        "Composition.relatesTo",
        "RelatedArtifact",
        renames={"code": "type", "targetReference": "resourceReference"},
    ),
    Map(
        "DocumentReference",
        "DocumentReference",
        renames={"context.encounter": "context"},
        older_parts=("context",),
        codes={"docStatus": _STATUS},
        regrouped=(
            participants(
                "attester",
                "http://hl7.org/fhir/composition-attestation-mode",
                {"authenticator": ("professional", "official", "legal")},
                "mode",
                "party",
            ),
        ),
    ),
    Map(
        "DocumentReference.content",
        "DocumentReference.content",
        renames={"format": "profile"},
        values={"format": Value(_profile, _format, "the Coding of the profile")},
    ),
)
