"""Devices that come and go: reading one alone, putting it into a domain, finding it there, taking it out.

    device = parse_device(xml)          any element of <devices>
    insert(domain, device)              InvalidState where there is such a one already
    found = find(domain, device)        DeviceMissing where there is none
    take_out(domain, found)
    replace(domain, found, device)

``persistent`` does all this to a definition, with libvirt's word on what may be done.
"""

from vmherd.conf.domain.plug.find import find, find_alias
from vmherd.conf.domain.plug.fragment import parse_device, settle
from vmherd.conf.domain.plug.insert import insert, replace, take_out

__all__ = ["find", "find_alias", "insert", "parse_device", "replace", "settle", "take_out"]
