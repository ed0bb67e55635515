"""Who asks, and what he may: https://hl7.org/fhir/smart-app-launch/"""
