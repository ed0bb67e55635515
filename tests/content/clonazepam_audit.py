"""What the clonazepam content must say of each claim of its source, and where."""

from __future__ import annotations

from tests.content.audit import (
    CONDITION,
    EXTENSION,
    Said,
    characteristic,
    coded,
    effect,
    intended,
    lasting,
    product,
    relation,
    remarks,
    status,
    strength,
    therapy,
    use,
)

LIMITED = "warning." + EXTENSION.format("limitation-condition") + ".value"
DENIED = "warning." + EXTENSION.format("limitation-intended-effect") + ".value.coding.code"
KNOWLEDGE = "MedicationKnowledge/clonazepam"
MONOGRAPH = "Composition/clonazepam-monograph"
NARROWER, BROADER, RELATED = "source-is-narrower-than-target", "source-is-broader-than-target", "related-to"


def _panic(claim: str) -> list[Said]:
    """What the three uses in panic disorder say of the two sentences that differ about a limit in time."""
    return [
        Said(claim, use(name), lasting("short-term in one statement"), text, f"{text}, short-term in one statement")
        for name, text in (
            ("panic-disorder", "panic disorder"),
            ("panic-disorder-with-agoraphobia", "panic disorder with agoraphobia"),
            ("panic-disorder-without-agoraphobia", "panic disorder without agoraphobia"),
        )
    ]


def _classes(claim: str, holds: str, words: str) -> list[Said]:
    """The same said of both uses of the class of benzodiazepines."""
    return [
        Said(claim, use(name), holds, words)
        for name in ("mania-benzodiazepines", "psychosis-induced-aggression-benzodiazepines")
    ]


AUDIT = [
    Said("S1", KNOWLEDGE, "name contains 'Klonopin' and name contains 'clonazepam'", "Klonopin"),
    Said("S2", KNOWLEDGE, "productType.text.startsWith('medication')", "medication (ingredient level)"),
    Said("S3", use("seizures-prevention"), intended("Prevention"), "Prevention", "prevention of seizures"),
    Said("S4", use("seizures-treatment"), intended("Treatment"), "Treatment", "treatment of seizures"),
    Said("S5", use("panic-disorder"), coded("F41.0"), "panic disorder", "panic disorder"),
    Said("S5", use("panic-disorder"), "indication.intendedEffect.empty()", "panic disorder"),
    Said("S6", use("akathisia"), coded("HP:0031943"), "akathisia", "akathisia (status not stated)"),
    Said("S7", use("akathisia"), remarks("movement disorder"), "movement disorder"),
    Said("S8", KNOWLEDGE, "medicineClassification.classification.coding.code contains 'D001569'", "benzodiazepine"),
    *(
        Said(claim, product(mg), strength(mg), f"{mg} mg per 1 tablet")
        for claim, mg in (("S9", "0.5"), ("S10", "1"), ("S11", "2"))
    ),
    *(Said("S12", product(mg), "definitional.doseForm.coding.code contains '317541'", "tablet") for mg in ("1", "2")),
    Said("S13", product("1"), characteristic("scoring", "unscored"), "unscored"),
    Said("S14", product("2"), characteristic("scoring", "unscored"), "unscored"),
    Said("S15", product("0.5"), characteristic("perforation", "K-shaped perforation"), "K-shaped perforation"),
    Said("S16", product("1"), characteristic("perforation", "K-shaped perforation"), "K-shaped perforation"),
    Said("S17", product("2"), characteristic("perforation", "K-shaped perforation"), "K-shaped perforation"),
    Said(
        "S18",
        KNOWLEDGE,
        f"{EXTENSION.format('effect-timing')}.extension.where(url = 'onset').value.high.value = 1",
        "up to 1 h",
    ),
    Said(
        "S19",
        KNOWLEDGE,
        f"{EXTENSION.format('effect-timing')}.extension.where(url = 'duration').value.low.value = 6",
        "6 to 12 h",
    ),
    Said("S20", use("epilepsy-short-term"), lasting("short-term"), "short-term", "epilepsy, short-term"),
    *_panic("S21"),
    Said("S22", use("panic-disorder-with-agoraphobia"), coded("F40.01"), "with agoraphobia", "with agoraphobia"),
    Said(
        "S22", use("panic-disorder-without-agoraphobia"), coded("F41.0"), "without agoraphobia", "without agoraphobia"
    ),
    Said("S23", MONOGRAPH, "section.where(title = 'Mechanism of action').text.exists()", "not known exactly"),
    Said(
        "S24",
        use("acute-seizures"),
        f"{CONDITION}.text.contains('first-line')",
        "first-line",
        "acute seizures, first-line",
    ),
    Said("S25", use("acute-seizures"), remarks("benzodiazepines in general"), "benzodiazepines in general"),
    Said(
        "S26",
        use("limitation-long-term-seizure-treatment"),
        effect("not-suitable", "S26"),
        "long-term seizure treatment",
    ),
    Said("S26", use("limitation-long-term-seizure-treatment"), f"{DENIED} = 'Treatment'", "the benzodiazepine class"),
    Said(
        "S27",
        use("limitation-long-term-seizure-treatment"),
        "warning.description.first().contains('tolerance')",
        "tolerance to the anticonvulsant effect",
    ),
    Said(
        "S27",
        MONOGRAPH,
        "section.where(title = 'Clinical pharmacology').text.exists()",
        "Tolerance develops to the anticonvulsant effect",
    ),
    Said(
        "S28",
        use("epilepsy-in-children"),
        effect("effective", "S28"),
        "Effective",
        "epilepsy in children, called effective",
    ),
    Said("S28", use("epilepsy-in-children"), "population.reference = 'Group/children'", "Children"),
    Said("S29", use("epilepsy-in-children"), remarks("low plasma concentrations"), "low plasma concentrations"),
    Said(
        "S29",
        MONOGRAPH,
        "section.where(title = 'Clinical pharmacology').text.exists()",
        "low plasma concentrations seem",
    ),
    Said(
        "S30",
        use("rare-childhood-epilepsies"),
        "population.reference = 'Group/children'",
        "sometimes used",
        "certain rare epilepsies of childhood, not named; sometimes used",
    ),
    Said(
        "S31",
        use("not-effective-infantile-spasms"),
        effect("not-effective", "S31"),
        "does not control infantile spasms",
    ),
    Said("S31", use("not-effective-infantile-spasms"), relation(LIMITED, "G40.82", NARROWER), "infantile spasms"),
    Said(
        "S32",
        use("epilepsy-short-term"),
        lasting("chiefly acute management"),
        "acute management",
        "epilepsy, short-term or acute management",
    ),
    Said(
        "S33",
        use("non-convulsive-status-epilepticus"),
        effect("effective", "S33"),
        "Effective",
        "status epilepticus, acute control, called effective",
    ),
    Said("S33", use("non-convulsive-status-epilepticus"), relation(CONDITION, "G40.901", NARROWER), "acute control"),
    Said(
        "S34",
        use("non-convulsive-status-epilepticus"),
        lasting("transient"),
        "often transient",
    ),
    Said(
        "S35",
        use("non-convulsive-status-epilepticus"),
        therapy("phenytoin", "add-on-for-lasting-control", "was required for lasting control"),
        "It was required for lasting control",
    ),
    *(
        Said(claim, use(name), intended("Treatment"), text, f'{text} ("in approval" per the source)')
        for claim, name, text in (
            ("S36", "typical-absence-seizures", "typical absence seizures"),
            ("S37", "atypical-absence-seizures", "atypical absence seizures"),
            ("S38", "infantile-myoclonic-seizures", "infantile myoclonic seizures"),
            ("S39", "myoclonic-seizures", "myoclonic seizures"),
            ("S40", "akinetic-seizures", "akinetic seizures"),
        )
    ),
    Said("S38", use("infantile-myoclonic-seizures"), f"{CONDITION}.coding.empty()", "infantile myoclonic"),
    Said("S40", use("akinetic-seizures"), relation(CONDITION, "G40.4", RELATED), "akinetic"),
    *(
        Said(
            "S41",
            use(name),
            status("in-approval-per-source"),
            "In approval, per the source",
            '"in approval" per the source',
        )
        for name in ("typical-absence-seizures", "atypical-absence-seizures", "infantile-myoclonic-seizures")
    ),
    *(
        Said(
            "S41",
            use(name),
            status("in-approval-per-source"),
            "In approval, per the source",
            '"in approval" per the source',
        )
        for name in ("myoclonic-seizures", "akinetic-seizures")
    ),
    Said(
        "S42",
        use("treatment-resistant-epilepsy"),
        lasting("long-term"),
        "a subgroup may benefit",
        "long-term; a subgroup may benefit",
    ),
    Said("S42", use("treatment-resistant-epilepsy"), relation(CONDITION, "G40.919", BROADER), "long-term"),
    Said("S43", use("treatment-resistant-epilepsy"), therapy("clorazepate", "alternative-therapy"), "clorazepate"),
    Said(
        "S44",
        use("treatment-resistant-epilepsy"),
        therapy("clorazepate", "alternative-therapy", "slow to develop"),
        "tolerance to clorazepate is slow",
    ),
    Said(
        "S45",
        use("treatment-resistant-epilepsy"),
        therapy("clorazepate (a benzodiazepine)", "alternative-therapy"),
        "clorazepate (a benzodiazepine)",
    ),
    *_panic("S46"),
    Said(
        "S47",
        use("other-anxiety-disorders"),
        effect("effective", "S47"),
        "Effective",
        "other anxiety disorders, called effective (off-label)",
    ),
    Said("S47", use("other-anxiety-disorders"), relation(CONDITION, "F41", RELATED), "other anxiety disorders"),
    Said("S47", use("other-anxiety-disorders"), relation(CONDITION, "197480006", NARROWER), "other anxiety disorders"),
    Said(
        "S48",
        use("social-phobia"),
        effect("effective", "S48"),
        "given as an example of other anxiety disorders",
        "social phobia, given as an example of other anxiety disorders; called effective (off-label)",
    ),
    Said(
        "S48",
        use("social-phobia"),
        f"{EXTENSION.format('see-also')}.value.reference contains '{use('other-anxiety-disorders')}'",
        "other anxiety disorders",
    ),
    *(
        Said("S49", use(name), status("off-label"), "Off-label", "(off-label)")
        for name in ("other-anxiety-disorders", "social-phobia")
    ),
    Said(
        "S50",
        "Evidence/panic-disorder-short-term-trials",
        "assertion.contains('Controlled clinical trials')",
        "over the short term",
    ),
    Said(
        "S51", "Evidence/panic-disorder-long-term-trials", "assertion.contains('three years')", "Some long-term trials"
    ),
    Said(
        "S52",
        "Evidence/panic-disorder-long-term-trials",
        "assertion.contains('did not become tolerant')",
        "did not become tolerant",
    ),
    Said(
        "S53",
        "Evidence/panic-disorder-long-term-trials",
        "assertion.contains('none of them with a placebo control')",
        "placebo control",
    ),
    Said("S54", use("acute-mania"), effect("effective", "S54"), "Effective", "acute mania, called effective"),
    Said("S54", use("acute-mania"), relation(CONDITION, "F30", RELATED), "acute mania"),
    Said(
        "S55",
        use("restless-legs-syndrome"),
        "indication.intendedEffect.empty()",
        "restless legs syndrome",
        "restless legs syndrome, third-line (investigational)",
    ),
    Said(
        "S56",
        KNOWLEDGE,
        "indicationGuideline.dosingGuideline.administrationTreatment.text contains 'third-line'",
        "third-line",
        "third-line",
    ),
    Said("S57", use("restless-legs-syndrome"), status("investigational"), "Investigational", "(investigational)"),
    Said("S58", use("bruxism"), effect("responds", "S58"), "Responds", "bruxism, responds over the short term"),
    Said("S59", use("bruxism"), lasting("short-term"), "short-term", "bruxism, responds over the short term"),
    Said(
        "S60",
        use("rem-sleep-behavior-disorder"),
        effect("responds", "S60"),
        "good response",
        "good response at low doses",
    ),
    Said(
        "S61",
        KNOWLEDGE,
        "indicationGuideline.dosingGuideline.dosage.dosage.text.startsWith('low doses')",
        "low doses",
        "low doses",
    ),
    *(
        Said(
            claim,
            use(f"neuroleptic-induced-akathisia-{course}"),
            f"indication.diseaseStatus.concept.text = '{course}'",
            f"{course} akathisia",
            f"{course} akathisia caused by neuroleptics",
        )
        for claim, course in (("S62", "acute"), ("S63", "chronic"))
    ),
    *(
        Said(
            claim,
            use(f"neuroleptic-induced-akathisia-{course}"),
            relation(CONDITION, "G25.71", NARROWER),
            "caused by neuroleptics",
        )
        for claim, course in (("S62", "acute"), ("S63", "chronic"))
    ),
    Said(
        "S64",
        use("neuroleptic-induced-akathisia-acute"),
        remarks("neuroleptic and antipsychotic"),
        "neuroleptic and antipsychotic",
    ),
    Said(
        "S65",
        use("spasticity-in-als"),
        "indication.comorbidity.concept.coding.code contains 'G12.21'",
        "amyotrophic lateral sclerosis",
        "spasticity related to amyotrophic lateral sclerosis",
    ),
    Said("S65", use("spasticity-in-als"), relation(CONDITION, "R25.2", RELATED), "does not say outright"),
    Said(
        "S66",
        use("alcohol-withdrawal-syndrome"),
        relation(CONDITION, "F10.13", BROADER),
        "alcohol withdrawal syndrome",
        "alcohol withdrawal syndrome",
    ),
    *_classes("S67", f"{CONDITION}.text.contains('benzodiazepines as a class')", "said of benzodiazepines as a class"),
    Said(
        "S68",
        use("mania-benzodiazepines"),
        f"{CONDITION}.text.contains('sometimes')",
        "mania, sometimes",
        "mania, sometimes; said of benzodiazepines as a class",
    ),
    Said(
        "S69",
        use("psychosis-induced-aggression-benzodiazepines"),
        "indication.diseaseStatus.empty() and indication.comorbidity.concept.text = 'acute psychosis'",
        "acute psychosis",
        "aggression in acute psychosis, sometimes",
    ),
    Said(
        "S69",
        use("psychosis-induced-aggression-benzodiazepines"),
        relation("indication.comorbidity.concept", "F29", RELATED),
        "aggression",
    ),
    *_classes("S70", remarks("Given alone"), "Given alone"),
    *_classes("S71", therapy("lithium", "may-be-combined-with"), "lithium"),
    *_classes("S72", therapy("haloperidol", "may-be-combined-with"), "haloperidol"),
    *_classes("S73", therapy("risperidone", "may-be-combined-with"), "risperidone"),
    *_classes("S74", therapy("risperidone", "may-be-combined-with", "first-line"), "other first-line drugs"),
    Said("S75", "Evidence/benzodiazepine-with-antipsychotic", "assertion.contains('not known')", "is not known"),
    Said(
        "S76",
        "Evidence/benzodiazepine-or-antipsychotic-for-urgent-sedation",
        "assertion.contains('undecided')",
        "urgent sedation",
    ),
    Said("S77", use("hyperekplexia"), coded("MONDO:0017658"), "hyperekplexia", "hyperekplexia"),
    Said("S78", use("parasomnia"), relation(CONDITION, "G47.5", NARROWER), "many forms", "parasomnia, many forms"),
    Said(
        "S79",
        use("other-sleep-disorders"),
        " and ".join(relation(CONDITION, one, NARROWER) for one in ("G47", "39898005", "MONDO:0003406")),
        "not named",
        "other sleep disorders, not named",
    ),
    Said("S80", use("not-effective-migraine-prevention"), effect("not-effective", "S80"), "does not prevent migraine"),
    Said(
        "S80",
        use("not-effective-migraine-prevention"),
        f"{DENIED} = 'Prevention' and {relation(LIMITED, 'G43', NARROWER)}",
        "Prevention",
    ),
]
