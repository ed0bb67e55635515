"""Who asks, and what he may: clients, access tokens, scopes. https://hl7.org/fhir/smart-app-launch/backend-services.html"""
