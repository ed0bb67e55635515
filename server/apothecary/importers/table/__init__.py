"""Tables of drugs and lists of interactions, as hospitals and sickness funds keep them: CSV, TSV or XLSX, and a mapping
file that says which column is which element.

https://hl7.org/fhir/R5/medicationknowledge.html, https://www.rfc-editor.org/rfc/rfc4180,
https://ecma-international.org/publications-and-standards/standards/ecma-376/
"""

from apothecary.importers.table.formulary import catalogue, guess, resources

__all__ = ["catalogue", "guess", "resources"]
