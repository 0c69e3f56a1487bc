"""Configuration files of LXC's own tools, read into documents.

What has no place in a document is told, not forgotten.  Source: lxcParseConfigString of libvirt, lxc.container.conf(5)
"""

from __future__ import annotations

from vmherd.conf.domain import Domain, DomainType
from vmherd.conf.domain.chardev import ChardevType, Console, ConsoleTarget, ConsoleTargetType
from vmherd.conf.domain.domain import IdMap, IdRange
from vmherd.conf.domain.features import Capabilities, CapabilityPolicy, Features, State
from vmherd.conf.domain.memory import Memory
from vmherd.conf.domain.os import Os, OsType
from vmherd.driver.native import NativeFormat, Reading
from vmherd.errors import DocumentError
from vmherd.hypervisors.lxc import native_mounts, native_network, native_tuning
from vmherd.hypervisors.lxc.numbers import number
from vmherd.hypervisors.lxc.settings import Settings
from vmherd.util.xmlmodel import declared

#: Bytes; a container has no size of its own, and a document wants one.
_MEMORY = 64 << 20
_CONSOLES = 999
_ARCHS = {"x86": "i686", "amd64": "x86_64", "linux32": "i686", "linux64": "x86_64"}
_CAPABILITIES = frozenset(each.xml for each in declared(Capabilities) if each.name != "policy")


def read(text: str) -> Reading:
    """The container that a configuration file describes.  Raises DocumentError."""
    settings = Settings(text)
    name = settings.one("lxc.uts.name", "lxc.utsname")
    if name is None:
        raise DocumentError("the container has no name", place="lxc.uts.name", hint="add lxc.uts.name = NAME")
    arch = settings.one("lxc.arch")
    domain = Domain(
        type=DomainType.LXC,
        name=name,
        memory=Memory(size=_MEMORY),
        os=Os(type=OsType(name="exe", arch=_ARCHS.get(arch, arch) if arch else None), init="/sbin/init"),
        features=Features(capabilities=_capabilities(settings)),
        idmap=_ids(settings),
    )
    native_mounts.read(settings, domain)
    ignored = native_network.read(settings, domain)
    domain.devices.consoles = _consoles(settings)
    native_tuning.read(settings, domain)
    return Reading(domain=domain, ignored=[*settings.unread(), *ignored])


def _capabilities(settings: Settings) -> Capabilities:
    """All but those dropped; or none but those kept."""
    dropped = _words(settings.all("lxc.cap.drop"))
    kept = _words(settings.all("lxc.cap.keep"))
    found = Capabilities(policy=CapabilityPolicy.DENY if kept else CapabilityPolicy.ALLOW)
    for name in [*dropped, *kept]:
        if name not in _CAPABILITIES:
            hint = "see capabilities(7); leave out 'cap_', and what this version does not know"
            raise DocumentError(f"there is no capability {name!r}", place="lxc.cap", hint=hint)
    for name in kept - {"none"} or dropped:
        setattr(found, name, State(state=bool(kept)))
    return found


def _words(values: list[str]) -> set[str]:
    return {word for value in values for word in value.split()}


def _ids(settings: Settings) -> IdMap | None:
    """``u``, ``g`` or ``b`` for both; the first id inside, the first outside, and how many."""
    found = IdMap()
    for value in settings.all("lxc.idmap", "lxc.id_map"):
        kind, *numbers = value.split()
        if kind not in ("u", "g", "b") or len(numbers) != 3:
            hint = "write it like lxc.idmap = u 0 100000 65536"
            raise DocumentError(f"{value!r} maps no ids", place="lxc.idmap", hint=hint)
        start, target, count = (number(each, "lxc.idmap") for each in numbers)
        for one, ranges in (("u", found.uids), ("g", found.gids)):
            if kind in (one, "b"):
                ranges.append(IdRange(start=start, target=target, count=count))
    return found if found.uids or found.gids else None


def _consoles(settings: Settings) -> list[Console]:
    count = number(settings.one("lxc.tty.max", "lxc.tty") or "0", "lxc.tty.max", high=_CONSOLES)
    targets = [ConsoleTarget(type=ConsoleTargetType.LXC, port=port) for port in range(count)]
    return [Console(type=ChardevType.PTY, target=target) for target in targets]


TOOLS = NativeFormat(read=read, why_not="libvirt's containers are not run by LXC's tools: define the document")
