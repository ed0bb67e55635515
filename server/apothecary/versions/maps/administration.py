"""Coverage, Device, Endpoint, AuditEvent, research and other administration: https://hl7.org/fhir/R5/administration-module.html."""

from __future__ import annotations

from apothecary.fhir.json import JSON
from apothecary.versions.maps.dividing import concept_of_coding, contacts, participants, within
from apothecary.versions.rules import Codes, Map, Regrouped, Value

_PARTY = "http://hl7.org/fhir/research-study-party-role"
_CHANNEL = "http://terminology.hl7.org/CodeSystem/subscription-channel-type"
_OUTCOME = "http://terminology.hl7.org/CodeSystem/audit-event-outcome"
_SEVERITY = "http://hl7.org/fhir/issue-severity"
# R4 says it in numbers, R5 in severities or as before: https://hl7.org/fhir/R5/valueset-audit-event-outcome.html
_OUTCOMES = {"success": "0", "information": "0", "warning": "4", "error": "8", "fatal": "12"}


def _channel(code: str) -> JSON:
    return {"system": _CHANNEL, "code": code}


def _code_of_channel(coding: JSON) -> str | None:
    return coding.get("code") if coding.get("system") in (None, _CHANNEL) else None


def _outcome(code: str) -> JSON:
    return {"code": {"system": _OUTCOME, "code": code}}


def _code_of_outcome(outcome: JSON) -> str | None:
    coding = outcome.get("code", {})
    if coding.get("system") == _OUTCOME:
        code: str | None = coding.get("code")
        return code
    return _OUTCOMES.get(coding.get("code", "")) if coding.get("system") == _SEVERITY else None


def _network(older: JSON) -> JSON:
    address = older.get("network", {}).get("address")
    return {} if address is None else {"networkString": address}


def _network_of(newer: JSON) -> JSON:
    address = newer.get("networkString", newer.get("networkUri"))
    return {} if address is None else {"network": {"address": address}}


def _payers(older: JSON) -> JSON:
    found: JSON = {}
    for one in older.get("payor", ()):
        if "insurer" not in found and "Organization/" in one.get("reference", "Organization/"):
            found["insurer"] = one
        else:
            found.setdefault("paymentBy", []).append({"party": one})
    return found


def _payers_of(newer: JSON) -> JSON:
    found = [newer["insurer"]] if "insurer" in newer else []
    found += [one["party"] for one in newer.get("paymentBy", ()) if "party" in one]
    return {"payor": found} if found else {}


def _overridden(older: JSON) -> JSON:
    found: JSON = {"type": "base"}
    if "factorOverride" in older:
        found["factor"] = older["factorOverride"]
    if "priceOverride" in older:
        found["amount"] = older["priceOverride"]
    return {"totalPriceComponent": found}


def _overrides(newer: JSON) -> JSON:
    component = newer.get("totalPriceComponent", {})
    pairs = (("factorOverride", "factor"), ("priceOverride", "amount"))
    return {name: component[part] for name, part in pairs if part in component}


MAPS = (
    Map("Coverage.class", "Coverage.class", values={"value": within("value")}),
    Map(
        "Coverage",
        "Coverage",
        values={"subscriberId": within("value")},
        regrouped=(
            Regrouped(
                ("payor",),
                ("insurer", "paymentBy"),
                _payers,
                _payers_of,
                "the first organization is the insurer, any other the party of a paymentBy",
            ),
        ),
    ),
    Map(
        "ChargeItem",
        "ChargeItem",
        renames={"context": "encounter"},
        regrouped=(
            Regrouped(
                ("factorOverride", "priceOverride"),
                ("totalPriceComponent",),
                _overridden,
                _overrides,
                "factor and amount of the component",
            ),
        ),
    ),
    Map("PractitionerRole", "PractitionerRole", regrouped=(contacts(with_address=False),)),
    Map("OrganizationAffiliation", "OrganizationAffiliation", regrouped=(contacts(with_address=False),)),
    Map("InsurancePlan.contact", "ExtendedContactDetail"),
    Map("Device", "Device", renames={"deviceName": "name"}),
    Map(
        "Device.deviceName",
        "Device.name",
        renames={"name": "value"},
        codes={
            "type": Codes(newer={"udi-label-name": "registered-name"}, older={"registered-name": "udi-label-name"}),
        },
    ),
    Map("DeviceMetric", "DeviceMetric", renames={"source": "device"}),
    Map(
        "Endpoint",
        "Endpoint",
        renames={"payloadType": "payload.type", "payloadMimeType": "payload.mimeType"},
        newer_parts=("payload",),
        values={"connectionType": concept_of_coding()},
    ),
    Map(
        "AuditEvent",
        "AuditEvent",
        renames={"type": "category", "subtype": "code"},
        values={
            "type": concept_of_coding(),
            "subtype": concept_of_coding(),
            "outcome": Value(_outcome, _code_of_outcome, "0 is success, 4 a warning, 8 an error, 12 fatal"),
        },
    ),
    Map(
        "AuditEvent.agent",
        "AuditEvent.agent",
        renames={"purposeOfUse": "authorization"},
        regrouped=(
            Regrouped(
                ("network",),
                ("networkReference", "networkUri", "networkString"),
                _network,
                _network_of,
                "its address",
            ),
        ),
    ),
    Map(
        "AuditEvent.source",
        "AuditEvent.source",
        values={"site": within("display"), "type": concept_of_coding()},
    ),
    Map("AuditEvent.entity", "AuditEvent.entity", values={"role": concept_of_coding()}),
    Map(
        "ResearchStudy",
        "ResearchStudy",
        renames={"category": "classifier", "location": "region"},
        regrouped=(
            participants(
                "associatedParty",
                _PARTY,
                {
                    "sponsor": ("sponsor", "lead-sponsor"),
                    "principalInvestigator": ("primary-investigator", "sponsor-investigator"),
                },
                "role",
                "party",
            ),
        ),
    ),
    Map(
        "ResearchSubject",
        "ResearchSubject",
        renames={
            "individual": "subject",
            "assignedArm": "assignedComparisonGroup",
            "actualArm": "actualComparisonGroup",
        },
    ),
    Map(
        "Subscription",
        "Subscription",
        renames={"channel.type": "channelType", "channel.payload": "contentType"},
        older_parts=("channel",),
        values={"channel.type": Value(_channel, _code_of_channel, "the Coding of the channel type")},
    ),
)
