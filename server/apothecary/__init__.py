"""Apothecary: a FHIR server and validator for medication knowledge."""

__version__ = "0.1.0"
