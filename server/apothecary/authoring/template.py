"""A sheet to begin with: sound as it is, with the rest in comments."""

from __future__ import annotations

from apothecary.authoring.writing import HEAD, TERMS_SCHEMA

_SHEET = """\
# One drug on one page. `apothecary build` writes its resources; an editor that knows JSON Schema completes and
# checks what is written here. Nothing is filled in: what no source says stays out, or is said to be absent.
drug: {drug}
title: {title} monograph
date: '{date}'
editors: {editors}
note: What every reader must know first, for example that this is not a label.

# Every statement names the claims that it rests on. A claim is one statement of a source, in your own words.
sources:
- id: {drug}-source
  key: {drug}
  title: The title of the source
  type: Medication monograph (source text)
  description: What the source is, who wrote it, when, and for where.
  # licence: Its terms, where they are known.
  # date: '2026-01-31'
  # sha256: the SHA-256 of its text, 64 hexadecimal digits
  claims:
    S1: {{line: 1, says: {title} is a medication}}

provenance:
- id: {drug}-source-to-structure
  of: source-text
  recorded: '{date}T00:00:00Z'
  activity: statements of the source turned into structured resources
# - id: {drug}-terminology
#   of: terminology
#   recorded: '{date}T00:00:00Z'
#   activity: codes added from published terminologies

# Codes are written key|code, with a key of terminologies.yaml, which says where each was read. A sign in front says
# how the text relates to the code: < narrower, > broader, ~ related. ?key|code is not verified, and is not built.
substances:
- id: {drug}
  text: {title}
  # codes: [rx|...]
  claims: [S1]

knowledge:
  code: {{text: {title}, claims: [S1]}}
  names:
  - {{text: {title}, claims: [S1]}}
  kind:
  - {{text: medication (ingredient level), claims: [S1]}}
  ingredients:
  - {{substance: {drug}, claims: [S1]}}
  # classes:
  # - {{type: drug class stated by the source, source: source text, classes: [a class], claims: [S2]}}
  # timing:
  #   onset: {{range: up to 1 h, claims: [S3]}}
  # storage:
  # - {{notes: [Keep it dry.], environment: [{{type: temperature, range: 15 to 25 Cel}}], claims: [S4]}}

# products:
# - id: {drug}-10-mg-tablet
#   code: {{text: {title} 10 mg tablet, claims: [S5]}}
#   form: {{text: tablet, claims: [S5]}}
#   ingredients:
#   - {{substance: {drug}, strength: 10 mg, per: '1 tablet|{{tbl}}', claims: [S5]}}
#   packaging:
#   - {{id: blister-30, name: 30 tablets in blisters, contains: ['30 tablet|{{tbl}}'], claims: [S6]}}

# populations:
# - {{id: children, name: Children, description: 'Children, as the source uses the word.', claims: [S7]}}

# status: in-approval-per-source, off-label, investigational or unspecified, which is no guess at any of the others.
# uses:
# - id: headache
#   claims: [S7]
#   status: unspecified
#   effect-statement: {{code: effective, claims: [S7]}}
#   use: {{text: headache (status not stated), codes: [icd|R51]}}
#   effect: Treatment
#   population: [children]
#   dosing:
#   - line: first-line
#     doses:
#     - type: dose of the source
#       claims: [S8]
#       dosage: [{{text: 10 mg twice a day, dose: 10 mg, timing: {{frequency: 2, period: 1 d}}}}]

# What the drug does not work or does not suit for. It never stands among the uses.
# limitations:
# - id: not-effective-cough
#   claims: [S9]
#   limitation: not-effective
#   label: Not effective against cough
#   description: It does not help against cough, according to the source.
#   condition: cough

# contraindications:
# - {{id: hypersensitivity, claims: [S10], condition: hypersensitivity to the substance}}

# interactions:
# - id: warfarin
#   claims: [S11]
#   with: [warfarin]
#   effect: more bleeding
#   severity: {{code: high, text: major}}
#   management: [watch the INR]

# undesirable-effects:
# - {{id: nausea, claims: [S12], effect: nausea, frequency: common}}

# warnings:
# - {{id: driving, claims: [S13], description: Do not drive.}}

# What is there and what is not: each section from a text, from the parts of this sheet, or absent.
sections:
- {{title: Boxed warning, absent: source}}
- {{title: Indications and usage, absent: source}}
- {{title: Dosage and administration, absent: source}}
- {{title: Contraindications, absent: source}}
- {{title: Warnings and precautions, absent: source}}
- {{title: Drug interactions, absent: source}}
- {{title: Adverse reactions, absent: source}}
# - {{title: Indications and usage, entries: uses}}
"""


# The list of codes where there is none yet.
NO_TERMINOLOGIES = f"""\
# yaml-language-server: $schema={TERMS_SCHEMA}
# The codes that sheets may use, each with the display that was read beside it in the source that is named:
#   rx:
#     system: http://www.nlm.nih.gov/research/umls/rxnorm
#     id: rxnorm-fragment
#     name: RxnormFragment
#     title: RxNorm
#     date: '2026-01-31'
#     publisher: the editors
#     credit: RxNorm, January 2026
#     source: where codes and displays were read
#     codes:
#       '1191': aspirin
terminologies: {{}}
"""


def new_sheet(drug: str, title: str, date: str, editors: str) -> str:
    """The text of a sheet for a drug of which one thing is known: that it is a medication."""
    return HEAD + _SHEET.format(drug=drug, title=title, date=date, editors=editors)
