# What `__init__.py` imports when it is used, for type checkers and editors. A test compares the two.
from types import ModuleType

from apothecary.api.content import read as read
from apothecary.api.content import search as search
from apothecary.api.convert import convert as convert
from apothecary.api.models import models as models
from apothecary.api.validate import load_profiles as load_profiles
from apothecary.api.validate import validate as validate
from apothecary.errors import ApothecaryError as ApothecaryError
from apothecary.errors import Issue as Issue
from apothecary.fhir.json import dumps as dumps
from apothecary.fhir.json import parse as parse
from apothecary.versions import Conversion as Conversion

__version__: str

class CallableRoom(ModuleType):
    def __call__(self, *values: object, **named: object) -> object: ...
