"""What was found, told in the form that its reader wants: people, CI systems, FHIR clients. One format a module."""
