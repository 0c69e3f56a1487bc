"""What libvirt says before the words of an error, by its number; scripts look for that.

Source: virErrorMsgStrings of libvirt, as virsh shows them.
"""

from __future__ import annotations

_PREFIXES = {
    1: "internal error: ",
    3: "this function is not supported by the connection driver: ",
    8: "invalid argument: ",
    9: "operation failed: ",
    27: "XML error: ",
    29: "operation forbidden: ",
    42: "Domain not found: ",
    43: "Network not found: ",
    55: "Requested operation is not valid: ",
    62: "Network filter not found: ",
    67: "unsupported configuration: ",
    68: "Timed out during operation: ",
    74: "argument unsupported: ",
    78: "operation aborted: ",
    80: "metadata not found: ",
    84: "Operation not supported: ",
    86: "Guest agent is not responding: ",
    88: "access denied: ",
    91: "the CPU is incompatible with host CPU: ",
    99: "device not found: ",
    101: "Network filter binding not found: ",
    107: "network port not found: ",
}


def with_prefix(code: int, words: str) -> str:
    """The words as libvirt would say them."""
    prefix = _PREFIXES.get(code, "")
    return words if words.lower().startswith(prefix.rstrip(": ").lower()) else prefix + words


def without_prefix(code: int, words: str) -> str:
    """The words as they were before."""
    return words.removeprefix(_PREFIXES.get(code, ""))
