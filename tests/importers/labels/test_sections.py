"""The codes and keys of the sections of labels are those that their publishers list.

LOINC's names of the codes are those of HL7's guide for labels, with `SPL` for "structured product labelling":
https://build.fhir.org/ig/HL7/fhir-spl/ValueSet-splSectionCodes.html and .../ValueSet-splDocumentCodes.html. This
material contains content from LOINC (http://loinc.org). LOINC is copyright © Regenstrief Institute, Inc. and the
Logical Observation Identifiers Names and Codes (LOINC) Committee and is available at no cost under the license at
http://loinc.org/license. LOINC® is a registered United States trademark of Regenstrief Institute, Inc.

The keys are openFDA's: https://github.com/FDA/open.fda.gov/blob/master/src/constants/fields/druglabel.yaml
"""

from __future__ import annotations

import re

from apothecary.importers.labels.sections import BY_KEY, HEADINGS

LOINC = """
34066-1 Boxed warning section
34067-9 Indications and usage section
34068-7 Dosage and administration section
34069-5 How supplied section
34070-3 Contraindications section
34071-1 Warnings section
34072-9 General precautions section
34073-7 Drug interactions section
34074-5 Drug/laboratory test interactions section
34075-2 Laboratory tests section
34076-0 Information for patients section
34077-8 Teratogenic effects section
34078-6 Nonteratogenic effects section
34079-4 Labor and delivery section
34080-2 Nursing mothers section
34081-0 Pediatric use section
34082-8 Geriatric use section
34083-6 Carcinogenesis and mutagenesis and impairment of fertility section
34084-4 Adverse reactions section
34085-1 Controlled substance section
34086-9 Abuse section
34087-7 Dependence section
34088-5 Overdosage section
34089-3 Description section
34090-1 Clinical pharmacology section
34091-9 Animal pharmacology/toxicology section
34092-7 Clinical studies section
34093-5 References section
42227-9 Drug abuse and dependence section
42228-7 Pregnancy section
42229-5 SPL unclassified section
42230-3 SPL patient package insert section
42231-1 SPL medguide section
42232-9 Precautions section
43678-2 Dosage forms and strengths section
43679-0 Mechanism of action section
43680-8 Nonclinical toxicology section
43681-6 Pharmacodynamics section
43682-4 Pharmacokinetics section
43683-2 Recent major changes section
43684-0 Use in specific populations section
43685-7 Warnings and precautions section
44425-7 Storage and handling section
48779-3 SPL indexing data elements section
48780-1 SPL listing data elements section
49489-8 Microbiology section
50565-1 OTC - Keep out of reach of children section
50566-9 OTC - Stop use section
50567-7 OTC - When using section
50568-5 OTC - Ask doctor or pharmacist section
50569-3 OTC - Ask doctor section
50570-1 OTC - Do not use section
50740-0 Guaranteed analysis of feed section
50741-8 Safe handling warning section
50742-6 Environmental warning section
50743-4 Food safety warning section
50744-2 Information for owners or caregivers section
51727-6 Inactive ingredient section
51945-4 Principal display panel of package
53412-3 Residue warning section
53413-1 OTC - Questions section
53414-9 OTC - Pregnancy or breast feeding section
54433-8 User safety warnings section
55105-1 OTC - Purpose section
55106-9 OTC - Active ingredient section
59845-8 Instructions for use section
60555-0 Accessories
60556-8 Assembly or installation instructions
60557-6 Calibration instructions
60558-4 Cleaning, disinfecting, and sterilization instructions
60559-2 Components
60560-0 Intended use of the device
60561-8 Other safety information
60562-6 Route, method and frequency of administration
60563-4 Summary of safety and effectiveness
66106-6 Pharmacogenomics section
68498-5 Patient medication information section
69718-5 Statement of identity section
69719-3 Health claim section
69758-1 Diagram of device
69759-9 Risks
69760-7 Compatible accessories
69761-5 Alarms
69762-3 Troubleshooting
69763-1 Disposal and waste handling
71744-7 Health care provider letter
77290-5 Lactation
77291-3 Females and males reproductive potential
"""
OPENFDA = """
abuse accessories active_ingredient adverse_reactions alarms animal_pharmacology_and_or_toxicology ask_doctor
ask_doctor_or_pharmacist assembly_or_installation_instructions boxed_warning calibration_instructions
carcinogenesis_and_mutagenesis_and_impairment_of_fertility cleaning clinical_pharmacology clinical_studies
compatible_accessories components contraindications controlled_substance dependence description
diagram_of_device disposal_and_waste_handling do_not_use dosage_and_administration dosage_forms_and_strengths
drug_abuse_and_dependence drug_and_or_laboratory_test_interactions drug_interactions environmental_warning
food_safety_warning general_precautions geriatric_use guaranteed_analysis_of_feed health_care_provider_letter
health_claim how_supplied inactive_ingredient indications_and_usage information_for_owners_or_caregivers
information_for_patients instructions_for_use intended_use_of_the_device keep_out_of_reach_of_children
labor_and_delivery laboratory_tests mechanism_of_action microbiology nonclinical_toxicology
nonteratogenic_effects nursing_mothers other_safety_information overdosage package_label_principal_display_panel
patient_medication_information pediatric_use pharmacodynamics pharmacogenomics pharmacokinetics precautions
pregnancy pregnancy_or_breast_feeding purpose questions recent_major_changes references residue_warning risks
route safe_handling_warning spl_indexing_data_elements spl_medguide spl_patient_package_insert
spl_product_data_elements spl_unclassified_section statement_of_identity stop_use storage_and_handling
summary_of_safety_and_effectiveness teratogenic_effects troubleshooting use_in_specific_populations
user_safety_warnings warnings warnings_and_cautions when_using
"""
# Keys that say it in other words than LOINC.
OTHERWISE = {
    "43685-7": "warnings_and_cautions",
    "48780-1": "spl_product_data_elements",
    "51945-4": "package_label_principal_display_panel",
    "60558-4": "cleaning",
    "60562-6": "route",
}
# Of sections that labels have since 2015, and the list of keys has not.
LATER = {"lactation", "females_and_males_of_reproductive_potential"}


def _words(text: str) -> set[str]:
    return set(re.findall("[a-z]+", text.lower().replace("_", " "))) - {"section", "otc", "and", "or", "of"}


def test_each_section_has_the_code_that_loinc_has_for_it() -> None:
    listed = dict(line.split(" ", 1) for line in LOINC.strip().splitlines())
    assert HEADINGS.keys() == listed.keys()
    for code, heading in HEADINGS.items():
        assert heading.key == OTHERWISE.get(code, heading.key)
        if code not in OTHERWISE:
            assert _words(heading.key) == _words(listed[code]), (code, listed[code])


def test_each_section_that_openfda_lists_is_known_by_its_key() -> None:
    assert BY_KEY.keys() - LATER == set(OPENFDA.split())
