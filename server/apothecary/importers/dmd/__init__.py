"""dm+d, the dictionary of medicines and devices of the NHS, from the XML files of its releases, as FHIR R5.

The files: https://www.nhsbsa.nhs.uk/pharmacies-gp-practices-and-appliance-contractors/dictionary-medicines-and-devices-dmd
"""

from apothecary.importers.dmd.release import edition, resources

__all__ = ["edition", "resources"]
