"""Files with FHIR resources, read with the exact place of everything in them."""
