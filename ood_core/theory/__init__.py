"""The claims of the NAN paper on the user's own network, and on the networks of the lab.

`measure_layer` measures the hidden classifier of a layer for images of an experiment, keeps the
result on disk, and `theory_table` writes it as a table. `own` and `trained` turn measurements into
claims that say "holds here" or "does not hold here", with the numbers that decide it.
"""

from ood_core.theory.claims.claim import Claim
from ood_core.theory.measurement import (
    PER_SET,
    measure_layer,
    measured_layer,
    not_measurable,
)
from ood_core.theory.measurement_tables import theory_summary, theory_table

__all__ = [
    "PER_SET",
    "Claim",
    "measure_layer",
    "measured_layer",
    "not_measurable",
    "theory_summary",
    "theory_table",
]
