"""Compiles the official FHIR packages into `server/apothecary/fhir/data`; `docs/definitions.md` describes both."""
