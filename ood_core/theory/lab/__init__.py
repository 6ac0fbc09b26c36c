"""Training lab: small networks on digits, trained here, that test the claims of the NAN paper.

Every run is seeded, takes a few seconds and is kept on disk; nothing is precomputed.

>>> from ood_core.theory import lab
>>> plan = lab.full_plan()
>>> isinstance(plan[0], lab.Run)
True

`run_lab()` trains what is missing of it; `theory.claims` decides on its results.
"""

from ood_core.theory.lab.plan import SCHEMES, Run, Scheme, full_plan
from ood_core.theory.lab.results import LabResults, finished, load_results
from ood_core.theory.lab.running import run_lab

__all__ = [
    "SCHEMES",
    "LabResults",
    "Run",
    "Scheme",
    "finished",
    "full_plan",
    "load_results",
    "run_lab",
]
