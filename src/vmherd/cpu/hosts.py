"""What hosts have in common, whatever their hypervisors can make of it."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.cpu import architecture
from vmherd.cpu.definition import read
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import render


def baseline(documents: Sequence[str], *, expand: bool = False, migratable: bool = False) -> str:
    """The best CPU that the processors of all documents have, as XML, with any model that is known.

    Raises DocumentError for a document that does not tell the architecture, or where there is no such CPU.
    """
    cpus = [cpu for text in documents for cpu in read(text)]
    if not cpus:
        raise DocumentError("there is no CPU to find a baseline of", place="cpu", hint="give at least one")
    name = cpus[0].arch
    if name is None or any(cpu.arch is None for cpu in cpus):
        raise DocumentError("Missing CPU architecture", place="cpu/arch", hint="give the <cpu> of hosts' capabilities")
    found = architecture.baseline(architecture.architecture(name), cpus, expanded=expand, migratable=migratable)
    return render(found)
