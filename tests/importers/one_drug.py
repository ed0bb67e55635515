"""One real drug, Klonopin 0.5 mg tablets, as NDC's, RxNorm's and DailyMed's files say it: each in its own words.

The samples of the publishers have no drug in common. The identifiers of concepts, the UNII and the ATC code are those
that this repository has verified; the NDC is of a labeler that FDA has not given out, and so is the label's set id.
"""

from __future__ import annotations

from pathlib import Path

from tests.importers import ndc_files, rxnorm_files
from tests.importers.spl.label import NCIT, NDC, UNII, label, product, section

SET_ID = "99991000-2222-4333-8444-555555555555"
PRODUCT, PACKAGE = "99991-002", "99991-002-01"
SUBSTANCE = "5PE9FDE8GB"

LISTED = f"ndc-{PRODUCT}"
LABELLED = f"spl-{SET_ID}-{PRODUCT}"
BRANDED, GENERIC = "rxnorm-206157", "rxnorm-197527"


def rxnorm(folder: Path) -> Path:
    """RxNorm's files, which give the package's NDC to the branded drug."""
    return rxnorm_files.real().write(folder / "rrf")


def ndc(folder: Path) -> Path:
    """The directory, FDA's list of UNIIs, and DailyMed's mapping of labels to RxNorm."""
    row = ndc_files.product(
        PRODUCT,
        PRODUCTID=f"{PRODUCT}_{SET_ID}",
        PRODUCTTYPENAME="HUMAN PRESCRIPTION DRUG",
        PROPRIETARYNAME="Klonopin",
        NONPROPRIETARYNAME="clonazepam",
        DOSAGEFORMNAME="TABLET",
        ROUTENAME="ORAL",
        LABELERNAME="Made-up Labeler",
        SUBSTANCENAME="CLONAZEPAM",
        ACTIVE_NUMERATOR_STRENGTH=".5",
        ACTIVE_INGRED_UNIT="mg/1",
        PHARM_CLASSES="Benzodiazepine [EPC]",
        DEASCHEDULE="CIV",
    )
    packed = ndc_files.package(PACKAGE, f"100 TABLET in 1 BOTTLE ({PACKAGE})", PRODUCTID=row["PRODUCTID"])
    directory = folder / "ndc"
    directory.mkdir()
    ndc_files.directory(directory, [row], [packed])
    (directory / "unii.csv").write_text(f"Name\tType\tUNII\tDisplay Name\nCLONAZEPAM\tof\t{SUBSTANCE}\tCLONAZEPAM\n")
    mapping(directory)
    return directory


def mapping(folder: Path) -> None:
    """DailyMed's mapping of labels to RxNorm."""
    (folder / "rxnorm_mappings.txt").write_text(
        f"SETID|SPL_VERSION|RXCUI|RXSTRING|RXTTY\n{SET_ID}|3|206157|clonazepam 0.5 MG Oral Tablet [Klonopin]|SBD\n"
    )


def spl(folder: Path) -> Path:
    """The label, with the same NDC, substance, strength and form, and the mapping beside it."""
    inner = (
        f'<formCode code="C42998" {NCIT} displayName="TABLET"/>'
        "<asEntityWithGeneric><genericMedicine><name>clonazepam</name></genericMedicine></asEntityWithGeneric>"
        '<ingredient classCode="ACTIB"><quantity><numerator value="0.5" unit="mg"/><denominator value="1" unit="1"/>'
        f'</quantity><ingredientSubstance><code code="{SUBSTANCE}" {UNII}/><name>CLONAZEPAM</name>'
        "</ingredientSubstance></ingredient>"
        '<asContent><quantity><numerator value="100" unit="1"/><denominator value="1"/></quantity>'
        f'<containerPackagedProduct><code code="{PACKAGE}" {NDC}/>'
        f'<formCode code="C43169" {NCIT} displayName="BOTTLE"/></containerPackagedProduct></asContent>'
    )
    text = label(
        section("34067-9", "<paragraph>Made up: panic disorder.</paragraph>"),
        products=product(PRODUCT, inner, name="Klonopin"),
        set_id=SET_ID,
    )
    labels = folder / "labels"
    labels.mkdir()
    (labels / "label.xml").write_text(text, encoding="utf-8")
    mapping(labels)
    return labels
