"""Requests, plans, teams and messages: https://hl7.org/fhir/R5/workflow-module.html."""

from __future__ import annotations

from apothecary.versions.maps.dividing import codeable, reasons, within
from apothecary.versions.rules import Map

MAPS = (
    Map("ServiceRequest", "ServiceRequest", regrouped=(reasons(),)),
    Map("SupplyRequest", "SupplyRequest", regrouped=(reasons(),)),
    Map("Communication", "Communication", regrouped=(reasons(),)),
    Map(
        "CommunicationRequest",
        "CommunicationRequest",
        renames={"sender": "informationProvider"},
        regrouped=(reasons(),),
    ),
    Map(
        "DeviceRequest",
        "DeviceRequest",
        renames={"priorRequest": "replaces"},
        regrouped=(
            reasons(),
            codeable("performerType", "performer", "performer", older_lists=False, newer_list=False),
        ),
    ),
    Map(
        "Task",
        "Task",
        renames={"performerType": "requestedPerformer"},
        regrouped=(reasons(older_lists=False),),
    ),
    Map("CareTeam", "CareTeam", regrouped=(reasons(),)),
    Map("CareTeam.participant", "CareTeam.participant", renames={"period": "coverage"}),
    Map(
        "CarePlan.activity",
        "CarePlan.activity",
        renames={"reference": "plannedActivityReference"},
        regrouped=(codeable("outcomeCodeableConcept", "outcomeReference", "performedActivity"),),
    ),
    Map(
        "Appointment",
        "Appointment",
        renames={"cancelationReason": "cancellationReason"},
        regrouped=(reasons(),),
    ),
    Map("NutritionOrder", "NutritionOrder", renames={"patient": "subject"}),
    Map(
        "NutritionOrder.enteralFormula",
        "NutritionOrder.enteralFormula",
        renames={
            "additiveType": "additive.type",
            "additiveProductName": "additive.productName",
            "routeofAdministration": "routeOfAdministration",
        },
        newer_parts=("additive",),
    ),
    Map("MessageHeader.response", "MessageHeader.response", values={"identifier": within("value")}),
    Map("PaymentNotice", "PaymentNotice", renames={"provider": "reporter"}),
)
