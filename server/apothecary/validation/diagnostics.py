"""How an issue puts values into words: https://hl7.org/fhir/R5/operationoutcome-definitions.html#OperationOutcome.issue.diagnostics"""

from __future__ import annotations

from typing import Any


def sound(text: str) -> str:
    """`text` with halves of surrogate pairs escaped, so that every report can be encoded."""
    return text if text.isprintable() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown(value: Any) -> str:
    """A value as a message quotes it: short, on one line."""
    if isinstance(value, str):
        text = repr(value)
    elif isinstance(value, dict):
        text = "an object"
    elif isinstance(value, list):
        text = "an array"
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int) and abs(value) >= 10**80:
        text = "a number of more than 80 digits"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
