"""Bulk data: `$export`, `$bulk-publish` and static sites. https://hl7.org/fhir/uv/bulkdata/"""
