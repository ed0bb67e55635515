"""The sections of U.S. drug labels, by their LOINC codes: which of them states something of the drug, and what.

The codes are those of https://www.fda.gov/industry/structured-product-labeling-resources/section-headings-loinc, which
HL7's guide for labels lists as https://build.fhir.org/ig/HL7/fhir-spl/ValueSet-splSectionCodes.html; the keys are those
of https://open.fda.gov/apis/drug/label/searchable-fields/, from the file that this page is made of:
https://github.com/FDA/open.fda.gov/blob/master/src/constants/fields/druglabel.yaml.

What the sections of non-prescription labels hold is said by 21 CFR 201.66(c)(5): "Do not use" is followed by all
contraindications, "Ask a doctor or pharmacist before use if" by all interactions with drugs and foods, "When using this
product" by side effects and what to avoid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["indication", "contraindication", "warning", "interaction", "undesirable-effect"]

LOINC = "http://loinc.org"


class Heading(NamedTuple):
    """A section: its LOINC code, its key in openFDA's records, what it is called, and what it states, if anything."""

    code: str
    key: str
    title: str
    kind: Kind | None = None


_WARNING: Kind = "warning"

_HEADINGS = (
    Heading("34066-1", "boxed_warning", "Boxed warning", _WARNING),
    Heading("34067-9", "indications_and_usage", "Indications and usage", "indication"),
    Heading("34068-7", "dosage_and_administration", "Dosage and administration"),
    Heading("43678-2", "dosage_forms_and_strengths", "Dosage forms and strengths"),
    Heading("34070-3", "contraindications", "Contraindications", "contraindication"),
    Heading("43685-7", "warnings_and_cautions", "Warnings and precautions", _WARNING),
    Heading("34071-1", "warnings", "Warnings", _WARNING),
    Heading("42232-9", "precautions", "Precautions", _WARNING),
    Heading("34072-9", "general_precautions", "General precautions", _WARNING),
    Heading("34084-4", "adverse_reactions", "Adverse reactions", "undesirable-effect"),
    Heading("34073-7", "drug_interactions", "Drug interactions", "interaction"),
    Heading(
        "34074-5",
        "drug_and_or_laboratory_test_interactions",
        "Drug and laboratory test interactions",
        _WARNING,
    ),
    Heading("43684-0", "use_in_specific_populations", "Use in specific populations", _WARNING),
    Heading("42228-7", "pregnancy", "Pregnancy", _WARNING),
    Heading("34077-8", "teratogenic_effects", "Teratogenic effects", _WARNING),
    Heading("34078-6", "nonteratogenic_effects", "Nonteratogenic effects", _WARNING),
    Heading("34079-4", "labor_and_delivery", "Labor and delivery", _WARNING),
    Heading("34080-2", "nursing_mothers", "Nursing mothers", _WARNING),
    Heading("77290-5", "lactation", "Lactation", _WARNING),
    Heading("77291-3", "females_and_males_of_reproductive_potential", "Reproductive potential", _WARNING),
    Heading("34081-0", "pediatric_use", "Pediatric use", _WARNING),
    Heading("34082-8", "geriatric_use", "Geriatric use", _WARNING),
    Heading("42227-9", "drug_abuse_and_dependence", "Drug abuse and dependence", _WARNING),
    Heading("34085-1", "controlled_substance", "Controlled substance", _WARNING),
    Heading("34086-9", "abuse", "Abuse", _WARNING),
    Heading("34087-7", "dependence", "Dependence", _WARNING),
    Heading("34088-5", "overdosage", "Overdosage"),
    Heading("34089-3", "description", "Description"),
    Heading("34090-1", "clinical_pharmacology", "Clinical pharmacology"),
    Heading("43679-0", "mechanism_of_action", "Mechanism of action"),
    Heading("43681-6", "pharmacodynamics", "Pharmacodynamics"),
    Heading("43682-4", "pharmacokinetics", "Pharmacokinetics"),
    Heading("49489-8", "microbiology", "Microbiology"),
    Heading("66106-6", "pharmacogenomics", "Pharmacogenomics"),
    Heading("43680-8", "nonclinical_toxicology", "Nonclinical toxicology"),
    Heading(
        "34083-6",
        "carcinogenesis_and_mutagenesis_and_impairment_of_fertility",
        "Carcinogenesis, mutagenesis and impairment of fertility",
    ),
    Heading("34091-9", "animal_pharmacology_and_or_toxicology", "Animal pharmacology and toxicology"),
    Heading("34092-7", "clinical_studies", "Clinical studies"),
    Heading("34093-5", "references", "References"),
    Heading("34069-5", "how_supplied", "How supplied"),
    Heading("44425-7", "storage_and_handling", "Storage and handling"),
    Heading("34076-0", "information_for_patients", "Information for patients"),
    Heading("34075-2", "laboratory_tests", "Laboratory tests"),
    Heading("42229-5", "spl_unclassified_section", "Unclassified section"),
    Heading("42230-3", "spl_patient_package_insert", "Patient package insert"),
    Heading("42231-1", "spl_medguide", "Medication guide"),
    Heading("43683-2", "recent_major_changes", "Recent major changes"),
    Heading("51945-4", "package_label_principal_display_panel", "Package label, principal display panel"),
    Heading("55106-9", "active_ingredient", "Active ingredient"),
    Heading("55105-1", "purpose", "Purpose"),
    Heading("51727-6", "inactive_ingredient", "Inactive ingredient"),
    Heading("50570-1", "do_not_use", "Do not use", "contraindication"),
    Heading("50569-3", "ask_doctor", "Ask a doctor before use", _WARNING),
    Heading("50568-5", "ask_doctor_or_pharmacist", "Ask a doctor or pharmacist before use", "interaction"),
    Heading("50567-7", "when_using", "When using this product", _WARNING),
    Heading("50566-9", "stop_use", "Stop use and ask a doctor", _WARNING),
    Heading("53414-9", "pregnancy_or_breast_feeding", "Pregnancy or breast feeding", _WARNING),
    Heading("50565-1", "keep_out_of_reach_of_children", "Keep out of reach of children", _WARNING),
    Heading("53413-1", "questions", "Questions"),
    Heading("60561-8", "other_safety_information", "Other safety information", _WARNING),
    Heading("48780-1", "spl_product_data_elements", "Product data"),
    Heading("48779-3", "spl_indexing_data_elements", "Indexing data"),
    Heading("59845-8", "instructions_for_use", "Instructions for use"),
    Heading("68498-5", "patient_medication_information", "Patient medication information"),
    Heading("71744-7", "health_care_provider_letter", "Health care provider letter"),
    Heading("54433-8", "user_safety_warnings", "User safety warnings", _WARNING),
    Heading("50741-8", "safe_handling_warning", "Safe handling warning", _WARNING),
    Heading("50742-6", "environmental_warning", "Environmental warning"),
    Heading("69718-5", "statement_of_identity", "Statement of identity"),
    Heading("69719-3", "health_claim", "Health claim"),
    # Of drugs for animals, and of devices that come with a drug.
    Heading("50744-2", "information_for_owners_or_caregivers", "Information for owners or caregivers"),
    Heading("50743-4", "food_safety_warning", "Food safety warning"),
    Heading("53412-3", "residue_warning", "Residue warning"),
    Heading("50740-0", "guaranteed_analysis_of_feed", "Guaranteed analysis of feed"),
    Heading("60560-0", "intended_use_of_the_device", "Intended use of the device"),
    Heading("60562-6", "route", "Route, method and frequency of administration"),
    Heading("60563-4", "summary_of_safety_and_effectiveness", "Summary of safety and effectiveness"),
    Heading("69758-1", "diagram_of_device", "Diagram of device"),
    Heading("60559-2", "components", "Components"),
    Heading("60555-0", "accessories", "Accessories"),
    Heading("69760-7", "compatible_accessories", "Compatible accessories"),
    Heading("60556-8", "assembly_or_installation_instructions", "Assembly or installation instructions"),
    Heading("60557-6", "calibration_instructions", "Calibration instructions"),
    Heading("60558-4", "cleaning", "Cleaning, disinfecting and sterilization instructions"),
    Heading("69761-5", "alarms", "Alarms"),
    Heading("69762-3", "troubleshooting", "Troubleshooting"),
    Heading("69763-1", "disposal_and_waste_handling", "Disposal and waste handling"),
    Heading("69759-9", "risks", "Risks"),
)  # fmt: skip

HEADINGS: Mapping[str, Heading] = {one.code: one for one in _HEADINGS}
"""By LOINC code."""
BY_KEY: Mapping[str, Heading] = {one.key: one for one in _HEADINGS}
"""By the key of openFDA."""

DOSAGE, STORAGE, PRODUCTS, BOXED = "34068-7", "44425-7", "48780-1", "34066-1"

TITLED = frozenset({"50565-1", "53414-9"})
"""Those whose title may be all that they say: "Keep out of reach of children"."""


def kind_of(code: str) -> Kind | None:
    """What a section with that code states; None where it states nothing of those kinds, or is not known."""
    found = HEADINGS.get(code)
    return found.kind if found else None
