"""Models of POWER CPUs, by the generations of the Power ISA that their User's Manuals name."""

from __future__ import annotations

#: Models by maker, older ones first.
MODELS = {
    "IBM": ("POWER6", "POWER7", "POWER8", "POWER9", "POWER10"),
    "Freescale": ("POWERPC_e5500", "POWERPC_e6500"),
}

#: Names that documents of former versions of libvirt use.
LEGACY = {"POWER7_v2.1": "POWER7", "POWER7_v2.3": "POWER7", "POWER7+_v2.1": "POWER7", "POWER8_v1.0": "POWER8"}
