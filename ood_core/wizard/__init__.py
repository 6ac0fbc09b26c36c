"""Bringing one's own network and images: proposals, checks, samples, the finished experiment."""

from ood_core.wizard.arguments import arguments_from, arguments_text
from ood_core.wizard.check import Check, Fix
from ood_core.wizard.checking import QUICK, check_draft, gate_checks, sample
from ood_core.wizard.checkpoint_files import checkpoints_at
from ood_core.wizard.draft import (
    Draft,
    draft_of,
    new_experiment,
    with_architecture,
    with_head,
    with_kind,
    with_weights,
)
from ood_core.wizard.draft_files import load_draft, parse_draft
from ood_core.wizard.facts import CheckpointFacts, checkpoint_facts, whole_network
from ood_core.wizard.found_features import FEATURE_SUFFIXES, holds_features
from ood_core.wizard.found_lists import set_from
from ood_core.wizard.kinds import KINDS
from ood_core.wizard.measuring import Measured, measure
from ood_core.wizard.overrides import overridden_proposals, with_values
from ood_core.wizard.partial_drafts import draft_code, only_classifier, trust_draft
from ood_core.wizard.proposals import (
    Proposal,
    architecture_names,
    complete,
    preprocessings,
    weight_names,
)
from ood_core.wizard.requirements import CLASSIFIER, Missing, fetch, find_fetch, missing
from ood_core.wizard.samples import Look, contact_sheet, look, look_at
from ood_core.wizard.set_draft import SetDraft, distinct_names, set_kind, set_name
from ood_core.wizard.stored_uploads import keep_upload
from ood_core.wizard.survey import Survey, survey

__all__ = [
    "CLASSIFIER",
    "FEATURE_SUFFIXES",
    "KINDS",
    "QUICK",
    "Check",
    "CheckpointFacts",
    "Draft",
    "Fix",
    "Look",
    "Measured",
    "Missing",
    "Proposal",
    "SetDraft",
    "Survey",
    "architecture_names",
    "arguments_from",
    "arguments_text",
    "check_draft",
    "checkpoint_facts",
    "checkpoints_at",
    "complete",
    "contact_sheet",
    "distinct_names",
    "draft_code",
    "draft_of",
    "fetch",
    "find_fetch",
    "gate_checks",
    "holds_features",
    "keep_upload",
    "load_draft",
    "look",
    "look_at",
    "measure",
    "missing",
    "new_experiment",
    "only_classifier",
    "overridden_proposals",
    "parse_draft",
    "preprocessings",
    "sample",
    "set_from",
    "set_kind",
    "set_name",
    "survey",
    "trust_draft",
    "weight_names",
    "whole_network",
    "with_architecture",
    "with_head",
    "with_kind",
    "with_values",
    "with_weights",
]
