"""Compiles the official FHIR packages into the tables of `server/fhir/data`; `docs/definitions.md` describes both."""
