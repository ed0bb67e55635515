"""The rules about what the entries of a bundle say of each other (https://hl7.org/fhir/R5/bundle.html)."""

from apothecary.validation.rules.rule import Rule

_BUNDLE = "https://hl7.org/fhir/R5/bundle.html"

BUNDLE_RULES = (
    Rule(
        "bundle-full-url",
        "error",
        "invalid",
        "fullUrl is there where the bundle is no transaction or batch, is absolute, and ends in the type and id of its"
        " resource when it is a RESTful URL.",
        f"It is the identity of the resource, by which references find it ({_BUNDLE}#bundle-unique).",
        '{"fullUrl": "http://example.org/fhir/Medication/1", "resource": {"resourceType": "Medication", "id": "2"}}',
        "Write the URL of the resource, or a urn:uuid.",
    ),
    Rule(
        "bundle-duplicate",
        "error",
        "duplicate",
        "A transaction changes a resource at most once, and a history has each version once.",
        f"https://hl7.org/fhir/R5/http.html#trules, {_BUNDLE}#bundle-unique",
        '{"type": "transaction", "entry": ["PUT Medication/1", "DELETE Medication/1"]}',
        "Keep one of the entries.",
    ),
    Rule(
        "bundle-content",
        "error",
        "not-found",
        "A document holds what its Composition refers to, and the stylesheets that it links; a message holds what is"
        " the focus of its MessageHeader.",
        "It is read without a server to ask: https://hl7.org/fhir/R5/documents.html#content",
        '{"type": "document", "entry": [{"resource": {"resourceType": "Composition", "subject": {...}}}]}',
        "Add the resource to the bundle, or correct the reference.",
    ),
    Rule(
        "bundle-request",
        "error",
        "invalid",
        "The request of an entry agrees with its resource, which PUT and POST have: PUT names its type and id, POST its"
        " type.",
        "https://hl7.org/fhir/R5/http.html#trules",
        '{"request": {"method": "PUT", "url": "Medication/1"}, "resource": {"resourceType": "Medication", "id": "2"}}',
        "Correct request.url or the resource.",
    ),
    Rule(
        "bundle-orphan",
        "warning",
        "invalid",
        "Every entry of a document or message is connected with its Composition or MessageHeader by references.",
        "R5 counts references in both directions; in a document of R4 and R4B, what is there is referred to from the"
        " Composition on, or is Provenance of that: https://hl7.org/fhir/R5/documents.html#content",
        '{"type": "document", "entry": [{"resource": {"resourceType": "Composition", ...}}, {"resource": {...}}]}',
        "Refer to it, or take it out.",
    ),
    Rule(
        "bundle-reference",
        "warning",
        "not-found",
        "A relative reference to a resource of the bundle leads there: its entry and that of the target have fullUrls"
        " with one base.",
        f"Type/id follows the base of the entry's fullUrl, and means nothing beside a urn:uuid ({_BUNDLE}#references).",
        '{"entry": [{"fullUrl": "urn:uuid:...", "resource": {"subject": {"reference": "Patient/1"}, ...}}, ...]}',
        "Write the fullUrl of the target as the reference, or give both entries fullUrls with one base.",
    ),
    Rule(
        "bundle-same-id",
        "warning",
        "duplicate",
        "Two resources of one type with the same id have fullUrls that say from which server each is.",
        f"Type and id are the identity of a resource on its server ({_BUNDLE}#bundle-unique).",
        '{"entry": [{"resource": {"resourceType": "Medication", "id": "1"}}, {"resource": {"resourceType": ...}}]}',
        "Give one of them another id, or write addresses as fullUrl.",
    ),
    Rule(
        "bundle-outcome",
        "error",
        "value",
        "What an entry says of its outcome has a form: response.status begins with the digits of an HTTP status, and"
        " what has the search mode outcome is an OperationOutcome.",
        "https://hl7.org/fhir/R5/bundle-definitions.html#Bundle.entry.response.status",
        '{"type": "batch-response", "entry": [{"response": {"status": "created"}}]}',
        "Write a status such as 201 Created; match or include for the mode of other resources.",
    ),
)
