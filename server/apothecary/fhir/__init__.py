"""What the FHIR specification says, as data and small pure functions."""
