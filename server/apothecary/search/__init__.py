"""Search: a query becomes a plan, a resource its index rows (https://hl7.org/fhir/R5/search.html).

Called, it is the function `apothecary.api.content.search`.
"""

import sys

from apothecary import CallableRoom

sys.modules[__name__].__class__ = CallableRoom
