"""SearchParameter, OperationOutcome and other conformance resources: https://hl7.org/fhir/R5/conformance-module.html."""

from __future__ import annotations

from server.versions.rules import Codes, Map

# xpathUsage speaks of an XPath, processingMode of the expression, but the codes say the same (SearchParameter in both releases).
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
        "OperationOutcome.issue",
        "OperationOutcome.issue",
        # https://hl7.org/fhir/R5/valueset-issue-type.html: both codes are children of `informational`, and of no other kind in R4.
        codes={
            "severity": Codes(older={"success": "information"}),
            "code": Codes(older={"success": "informational", "limited-filter": "informational"}),
        },
    ),
)
