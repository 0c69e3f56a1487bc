"""Where documents become machines: the binary's capabilities, completion, checks, the start.

The driver imports this when a document is worked on first; listing and switching guests need nothing of it.
"""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path

from vmherd.conf.domain import Domain, parse_domain
from vmherd.conf.domain.os import Nvram
from vmherd.driver.types import GuestKind
from vmherd.hypervisors.qemu import alias, capabilities, complete, confinement, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.config import Config, load_config
from vmherd.hypervisors.qemu.cpus import Cpus
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.helpers import swtpm
from vmherd.hypervisors.qemu.host import hostcpu
from vmherd.hypervisors.qemu.host.hostcaps import capabilities_xml
from vmherd.hypervisors.qemu.hotplug.running import Means
from vmherd.hypervisors.qemu.life import Life
from vmherd.hypervisors.qemu.startup import guestcpu
from vmherd.hypervisors.qemu.startup.start import Start
from vmherd.hypervisors.qemu.tuning import groups
from vmherd.state.domains import DomainTable, Live

#: Seconds for which a QEMU is taken to be what it was, as long as nothing is started.
_FRESH = 0.1


class Workshop:
    """The documents of one connection."""

    def __init__(self, table: DomainTable, life: Life, folders: Folders, uri: str) -> None:
        self._table = table
        self._life = life
        self._folders = folders
        self._uri = uri
        self._caps: dict[Path, tuple[str, Capabilities]] = {}
        #: The architecture and the emulator asked for last, until when what was found is believed, and that.
        self._last: tuple[tuple[str | None, str | None], float, Capabilities | None] = (None, None), 0.0, None

    @cached_property
    def config(self) -> Config:
        return load_config(self._folders.config)

    async def version(self) -> str:
        """That of the host's own QEMU; raises HostError if there is none."""
        return ".".join(map(str, (await self._own_capabilities()).version))

    async def capabilities_document(self) -> str:
        return capabilities_xml(await self._own_capabilities(), confinement.models(self.config, self._folders))

    async def domain_capabilities(self, emulator: str, arch: str, machine: str, domain_type: str) -> str:
        """What guests can have, as XML; raises InvalidArgument for a machine or type that is none."""
        from vmherd.hypervisors.qemu.host import domaincaps  # the only one who asks is an installer

        binary = capabilities.find_binary(arch or capabilities.host_arch(), emulator or None)
        return domaincaps.tell(await self._load(binary), arch, machine, domain_type)

    async def cpus(self, arch: str = "") -> Cpus:
        """The CPUs of the QEMU for an architecture, by default this host's."""
        return await self.cpus_for(GuestKind(arch=arch))

    async def cpus_for(self, guests: GuestKind) -> Cpus:
        """The CPUs that guests of a kind can have; its machine makes no difference."""
        binary = capabilities.find_binary(guests.arch or capabilities.host_arch(), guests.emulator or None)
        return Cpus(await self._load(binary), guests.domain_type)

    async def _own_capabilities(self) -> Capabilities:
        return await self._load(capabilities.find_binary(capabilities.host_arch(), None))

    async def _capabilities(self, domain: Domain) -> Capabilities:
        arch = domain.os.type.arch or capabilities.host_arch()
        return await self._load(capabilities.find_binary(arch, domain.devices.emulator))

    async def _recent(self, domain: Domain) -> Capabilities:
        """The same, looked for once where documents come one after the other."""
        wanted, now = (domain.os.type.arch, domain.devices.emulator), time.monotonic()
        known, until, caps = self._last
        if caps is None or known != wanted or now >= until:
            caps = await self._capabilities(domain)
            self._last = wanted, now + _FRESH, caps
        return caps

    async def _load(self, binary: Path) -> Capabilities:
        """What a binary can do.  It may be another one tomorrow: an upgrade does not end us."""
        identity = capabilities.identity(binary)
        known = self._caps.get(binary)
        if known is None or known[0] != identity:
            known = self._caps[binary] = identity, await capabilities.load(binary, self._folders.cache)
        return known[1]

    async def accept(self, domain: Domain) -> None:
        """Complete a document in place and check that this host's QEMU can run it; raises DocumentError."""
        caps = await self._recent(domain)
        complete.complete(domain, caps, new=True, nvram=self._folders.nvram, config=self.config)
        validate.check(domain, caps)

    def forget_tpm(self, uuid: str, config: str) -> None:
        """Remove what the emulated TPM of a definition remembers, unless the document wants it kept."""
        if self._folders.tpm(uuid).exists():
            swtpm.forget(config, self._folders.tpm(uuid))

    def variables(self, config: str | None) -> Path | None:
        """The file of a definition's UEFI variables, if it is there."""
        domain = parse_domain(config) if config else None
        if domain is None or (domain.os.firmware is None and not isinstance(domain.os.nvram, Nvram)):
            return None
        named = isinstance(domain.os.nvram, Nvram) and domain.os.nvram.path
        path = Path(named or self._folders.nvram / f"{domain.name}_VARS.fd")
        return path if path.exists() else None

    async def prepare(self, domain: Domain) -> None:
        """Take from the host what an accepted document leaves to it.

        Raises Unsupported for what can be described, but not be run here or yet.
        """
        validate.check_startable(domain)
        controllers = groups.usable(self.config).controllers if self._folders.privileged else ()
        validate.check_enforced(domain, frozenset(controllers))
        guestcpu.settle(domain, await self._capabilities(domain), hostcpu.processor())

    async def means(self, domain: Domain) -> Means:
        """What devices of a running guest are made with."""
        return Means(await self._capabilities(domain), self.config, self._uri)

    async def start(
        self, domain: Domain, live: Live, *, paused: bool, incoming: int = -1, reset_nvram: bool = False
    ) -> None:
        """Boot an accepted document as the life ``live``; a failure leaves nothing behind.

        In place of booting, the guest's state is read from the descriptor ``incoming``.
        """
        domain.id = live.id
        alias.assign(domain)
        start = Start(
            table=self._table,
            life=self._life,
            folders=self._folders,
            uri=self._uri,
            caps=await self._capabilities(domain),
            config=self.config,
            domain=domain,
            live=live,
            incoming=incoming,
            reset_nvram=reset_nvram,
        )
        await start.run(paused=paused)
