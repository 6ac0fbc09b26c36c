"""Bringing one's own network and images: proposals, checks, samples, the finished experiment."""

from ood_core.wizard.checking import QUICK, Check, Fix, check_draft, gate_checks, sample
from ood_core.wizard.draft import Draft, SetDraft, draft_of, new_experiment
from ood_core.wizard.looking import Look, contact_sheet, look
from ood_core.wizard.proposals import (
    CheckpointFacts,
    Measured,
    Proposal,
    architecture_names,
    checkpoint_facts,
    complete,
    measure,
    preprocessings,
)
from ood_core.wizard.survey import Survey, survey

__all__ = [
    "QUICK",
    "Check",
    "CheckpointFacts",
    "Draft",
    "Fix",
    "Look",
    "Measured",
    "Proposal",
    "SetDraft",
    "Survey",
    "architecture_names",
    "check_draft",
    "checkpoint_facts",
    "complete",
    "contact_sheet",
    "draft_of",
    "gate_checks",
    "look",
    "measure",
    "new_experiment",
    "preprocessings",
    "sample",
    "survey",
]
