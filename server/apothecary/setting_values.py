"""Values of settings as one writes them: into a variable, behind an option, in a list."""

from __future__ import annotations

from dataclasses import field
from typing import Any, get_args

from apothecary.errors import StartError
from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.suggestions import or_rather


def setting(default: Any, doc: str, *, least: int = 0, most: int = 2**53 - 1) -> Any:
    """A field of `Settings`: the sentence that `apothecary settings` shows, and the numbers that it takes."""
    return field(default=default, metadata={"doc": doc, "bounds": (least, most)})


def as_text(value: Any) -> str:
    """The value of a setting as one writes it into its variable."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def convert(name: str, text: str, kind: Any, bounds: tuple[int, int]) -> Any:
    """`text` as a value of `kind`, or StartError naming the setting and the rule."""
    if kind is str:
        return text
    if kind is bool:
        if text.strip().lower() in ("1", "true", "yes", "on"):
            return True
        if text.strip().lower() in ("0", "false", "no", "off", ""):
            return False
        raise StartError(f"{name}={text!r}: write true or false.")
    if kind is FhirVersion:
        version = parse_version(text)
        if version is None:
            raise StartError(f"{name}={text!r}: write R4, R4B or R5.")
        return version
    if kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            raise StartError(f"{name}={text!r}: write a number.") from None
        if not bounds[0] <= number <= bounds[1]:
            raise StartError(f"{name}={text!r}: write a number from {bounds[0]} to {bounds[1]}.")
        return number
    choices = get_args(kind)
    if text not in choices:
        raise StartError(f"{name}={text!r}: write one of {', '.join(choices)}{or_rather(text, choices)}.")
    return text
