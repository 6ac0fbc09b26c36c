"""Networks that are a user's own Python: found without running, run with consent alone."""

from ood_core.models.own_networks.code_files import Code, find_code, plugin_code
from ood_core.models.own_networks.consent import (
    COMMAND_LINE,
    CodeNotTrustedError,
    CodeRequest,
    check_trusted,
    code_request,
    only_command_line_consents,
    trust_code,
)
from ood_core.models.own_networks.construction import called, made

__all__ = [
    "COMMAND_LINE",
    "Code",
    "CodeNotTrustedError",
    "CodeRequest",
    "called",
    "check_trusted",
    "code_request",
    "find_code",
    "made",
    "only_command_line_consents",
    "plugin_code",
    "trust_code",
]
