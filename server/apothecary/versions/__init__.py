"""Conversion between R4, R4B and R5, as pure functions on parsed JSON: https://hl7.org/fhir/R5/versions.html.

`docs/versions.md` says what becomes what. Nothing is dropped: what the target cannot say stands in its cross-version
extension and comes back from there.
"""

from apothecary.versions.convert import Conversion, convert, convert_elements, convertible, where_instead

__all__ = ["Conversion", "convert", "convert_elements", "convertible", "where_instead"]
