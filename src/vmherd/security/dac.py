"""Labels of the model "dac": users and owners.  What documents say of them, and what follows.

Source: security_dac.c of libvirt; https://libvirt.org/formatdomain.html#security-label
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.conf.domain.seclabel import DeviceSeclabel, Seclabel, SeclabelType
from vmherd.errors import Unsupported
from vmherd.security.identity import Identity, parse_label

MODEL = "dac"


def find(labels: Sequence[Seclabel]) -> Seclabel | None:
    """What a document says of this model."""
    return next((each for each in labels if each.model == MODEL), None)


def identity(labels: Sequence[Seclabel], usual: Identity) -> Identity:
    """Who a guest runs as: a static label's user, else the usual one.  Raises HostError for one that there is not."""
    told = find(labels)
    return parse_label(told.label) if told and told.type is SeclabelType.STATIC and told.label else usual


def complete(labels: list[Seclabel], who: Identity, *, confined: bool = True) -> None:
    """Say in the labels of a guest that is being started who it runs as.

    Without ``confined`` a guest whose document says nothing keeps the owners of its files.  Raises Unsupported.
    """
    told = find(labels)
    if told is None:
        if not confined:
            return
        told = Seclabel(model=MODEL)
        labels.append(told)
    told.type = told.type or (SeclabelType.DYNAMIC if confined else SeclabelType.NONE)
    if told.type is SeclabelType.NONE:
        return
    if told.type is SeclabelType.STATIC and not told.label:
        raise Unsupported(
            "a static label must be told", place="domain/seclabel/label", hint="<label>user:group</label>"
        )
    told.relabel = told.type is SeclabelType.DYNAMIC if told.relabel is None else told.relabel
    told.label = told.label or who.label
    if told.relabel:
        told.imagelabel = told.imagelabel or told.label


def relabels(labels: Sequence[Seclabel]) -> bool:
    """Whether a guest shall own its files.  Labels that `complete` has not seen leave that to the host: it shall."""
    told = find(labels)
    return told is None or (told.type is not SeclabelType.NONE and told.relabel is not False)


def owner(of_file: Sequence[DeviceSeclabel], who: Identity) -> tuple[int, int] | None:
    """Who a file shall belong to; None if it stays as it is.  Raises HostError for a user that there is not."""
    told = next((each for each in of_file if each.model in (None, MODEL)), None)
    if told is None or (told.relabel is not False and not told.label):
        return who.owner
    return parse_label(told.label).owner if told.relabel is not False and told.label else None
