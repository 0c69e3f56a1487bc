"""The machine itself: name, firmware, power management, boot, and the order of its larger parts."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.os import LoaderType, Nvram, NvramBlock, NvramFile, NvramNetwork
from vmherd.conf.domain.storage import DiskSource, StorageType
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import blockdev, board, cpu, memory, numa, sysinfo
from vmherd.hypervisors.qemu.command.blockdev import Image
from vmherd.hypervisors.qemu.command.cpu import switch
from vmherd.hypervisors.qemu.command.device import device, escape, option
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.state.tuning import iothreads


def identity(domain: Domain) -> list[str]:
    """The guest's name in the process list."""
    return ["-name", f"guest={escape(domain.name)},debug-threads=on"]


def machine_and_memory(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """Firmware, board, accelerator, CPU and memory, in libvirt's order."""
    locked = bool(domain.memory_backing and domain.memory_backing.locked)
    return [
        *_flash_chips(domain, launch),
        *board.arguments(domain, caps),
        *_smm(domain),
        *cpu.cpu(domain, caps),
        *_bios(domain),
        *memory.memory(domain, caps, launch),
        "-overcommit",
        f"mem-lock={switch(locked)}",
        "-smp",
        _smp(domain, caps),
        *_iothreads(domain),
        *numa.arguments(domain, caps, launch),
        "-uuid",
        domain.uuid or "",
        *sysinfo.arguments(domain),
        *_generation(domain),
    ]


def _generation(domain: Domain) -> list[str]:
    """The id that changes when a guest is restored or copied, so that it can renew its secrets."""
    return device({"driver": "vmgenid", "guid": domain.genid, "id": "vmgenid0"}) if domain.genid else []


def _flash_chips(domain: Domain, launch: Launch) -> list[str]:
    """The firmware as two flash chips: the code, which never changes, and the guest's own variables."""
    loader = domain.os.loader
    if loader is None or loader.type is not LoaderType.PFLASH or not loader.path:
        return []
    code = DiskSource(file=loader.path)
    args = _flash(0, StorageType.FILE, code, launch, readonly=bool(loader.readonly))
    if nvram := domain.os.nvram:
        args += _flash(1, *_variables(nvram), launch, readonly=False)
    return args


def _variables(nvram: Nvram | NvramFile) -> tuple[StorageType, DiskSource]:
    """Where UEFI keeps what the guest stores in it."""
    if isinstance(nvram, Nvram):
        return StorageType.FILE, DiskSource(file=nvram.path)
    kinds = {NvramBlock: StorageType.BLOCK, NvramNetwork: StorageType.NETWORK}
    return kinds.get(type(nvram), StorageType.FILE), nvram.source


def _flash(number: int, type_: StorageType, source: DiskSource, launch: Launch, *, readonly: bool) -> list[str]:
    image = Image(node=f"libvirt-pflash{number}", type=type_, source=source, readonly=readonly, auth=source.auth)
    return blockdev.arguments(image, launch)


def _bios(domain: Domain) -> list[str]:
    """Firmware in a ROM; flash that only system management mode may write."""
    loader = domain.os.loader
    if loader is None:
        return []
    if loader.type is LoaderType.PFLASH:
        return ["-global", "driver=cfi.pflash01,property=secure,value=on"] if loader.secure else []
    return ["-bios", loader.path] if loader.path else []


def _smm(domain: Domain) -> list[str]:
    """Memory of system management mode on Q35, in MiB."""
    smm = domain.features.smm if domain.features else None
    if smm is None or smm.tseg is None:
        return []
    return ["-global", f"mch.extended-tseg-mbytes={smm.tseg >> 20}"]


def _iothreads(domain: Domain) -> list[str]:
    """Threads that serve disks beside the main loop."""
    args: list[str] = []
    for thread in iothreads.all_of(domain):
        pool = {"thread-pool-min": thread.thread_pool_min, "thread-pool-max": thread.thread_pool_max}
        args += option("-object", {"qom-type": "iothread", "id": f"iothread{thread.id}", **pool})
    return args


def _smp(domain: Domain, caps: Capabilities) -> str:
    vcpu = domain.vcpu
    topology = domain.cpu.topology if domain.cpu else None
    # Those that can be unplugged come when QEMU runs.
    loose = sum(each.enabled and each.hotpluggable is True for each in domain.vcpus)
    fixed = (vcpu.current or vcpu.count) - loose
    online = f"{fixed},maxcpus={vcpu.count}" if fixed != vcpu.count else str(vcpu.count)
    if topology is None:
        return f"{online},sockets={vcpu.count},cores=1,threads=1"
    dies = f",dies={topology.dies}" if "smp-dies" in caps else ""
    return f"{online},sockets={topology.sockets}{dies},cores={topology.cores},threads={topology.threads}"


def monitor(domain: Domain, launch: Launch) -> list[str]:
    """No display unless one is asked for, no devices of QEMU's own choice, and the control socket."""
    args = [] if domain.devices.graphics else ["-display", "none"]
    socket = f"socket,id=charmonitor,fd={launch.monitor_fd},server=on,wait=off"
    args += ["-no-user-config", "-nodefaults", "-chardev", socket]
    return [*args, "-mon", "chardev=charmonitor,id=monitor,mode=control"]


def never_reboots(domain: Domain) -> bool:
    """Whether every end of the guest is that of QEMU.  Source: qemuProcessPrepareAllowReboot of libvirt"""
    return {str(domain.on_poweroff), str(domain.on_reboot), str(domain.on_crash).removeprefix("coredump-")} == {
        "destroy"
    }


def power(domain: Domain, caps: Capabilities) -> list[str]:
    """What the end of the guest does to QEMU: it waits for us to see it."""
    # Newer QEMUs are told through the monitor, which can change it while the guest runs.
    args = ["-no-reboot"] if never_reboots(domain) and "set-action" not in caps else []
    args.append("-no-shutdown")
    if machine.is_x86(domain) and not (domain.features and domain.features.acpi):
        args.append("-no-acpi")
    chip = "PIIX4_PM" if machine.is_i440fx(domain) else "ICH9-LPC" if machine.is_q35(domain) else ""
    if domain.pm and chip:
        for state, name in ((domain.pm.suspend_to_mem, "disable_s3"), (domain.pm.suspend_to_disk, "disable_s4")):
            if state and state.enabled is not None:
                args += ["-global", f"{chip}.{name}={0 if state.enabled else 1}"]
    return args


def pci_root(domain: Domain) -> list[str]:
    """Options of the first PCI bus: hot-plugging by ACPI, and room for large devices, in KiB."""
    args: list[str] = []
    for each in domain.devices.controllers:
        if each.type is not ControllerType.PCI or each.index != 0:
            continue
        hotplug = each.target.hotplug if each.target else None
        if machine.is_i440fx(domain) and hotplug is not None:
            args += ["-global", f"PIIX4_PM.acpi-root-pci-hotplug={switch(hotplug)}"]
        if each.pcihole64 is not None:
            board = "q35-pcihost" if machine.is_q35(domain) else "i440FX-pcihost"
            args += ["-global", f"{board}.pci-hole64-size={each.pcihole64 >> 10}K"]
    return args


def boot(domain: Domain) -> list[str]:
    """The firmware's menu, and a kernel of the host's if one is given."""
    os = domain.os
    words = []
    if os.bootmenu:
        words.append(f"menu={switch(os.bootmenu.enable)}")
        if os.bootmenu.enable and os.bootmenu.timeout is not None:
            words.append(f"splash-time={os.bootmenu.timeout}")
    if os.bios and os.bios.reboot_timeout is not None:
        words.append(f"reboot-timeout={os.bios.reboot_timeout}")
    args = ["-boot", ",".join([*words, "strict=on"])]
    for name, value in (("-kernel", os.kernel), ("-initrd", os.initrd), ("-append", os.cmdline), ("-dtb", os.dtb)):
        args += [name, value] if value else []
    for table in os.acpi_tables:
        args += ["-acpitable", f"sig={table.type.upper()},file={escape(table.path)}"]
    return args


def sandbox(launch: Launch) -> list[str]:
    """QEMU gives up the system calls it never needs."""
    if not launch.sandbox:
        return []
    return ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]


def incoming(launch: Launch) -> list[str]:
    """Where the state of a guest comes from which runs already, or was saved."""
    return ["-incoming", launch.incoming] if launch.incoming else []
