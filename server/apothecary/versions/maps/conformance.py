"""SearchParameter, OperationOutcome and other conformance resources: https://hl7.org/fhir/R5/conformance-module.html."""

from __future__ import annotations

from apothecary.versions.rules import Codes, Map

_MODIFIER = Codes(newer={"ofType": "of-type"}, older={"of-type": "ofType"})

MAPS = (
    Map(
        "SearchParameter",
        "SearchParameter",
        renames={"xpathUsage": "processingMode"},
        codes={
            "modifier": _MODIFIER,
            "xpathUsage": Codes(
                newer={"nearby": "other", "distance": "other"},
            ),
        },
    ),
    Map(
        "Questionnaire.item",
        "Questionnaire.item",
        codes={"type": Codes(newer={"choice": "coding", "open-choice": "coding"}, older={"coding": "choice"})},
    ),
    Map(
        "OperationOutcome.issue",
        "OperationOutcome.issue",
        # Both codes stand below `informational`: https://hl7.org/fhir/R5/codesystem-issue-type.html.
        codes={
            "severity": Codes(older={"success": "information"}),
            "code": Codes(older={"success": "informational", "limited-filter": "informational"}),
        },
    ),
)
