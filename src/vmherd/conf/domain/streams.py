"""Completes character devices: their sources, port numbers, and the console that mirrors the first serial port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmherd.conf.domain.buses import next_number
from vmherd.conf.domain.chardev import (
    FIELDS_OF_SOURCE,
    Channel,
    ChardevSource,
    ChardevType,
    Console,
    ConsoleTarget,
    ConsoleTargetType,
    Parallel,
    ParallelTarget,
    Protocol,
    ProtocolType,
    Serial,
    SerialTarget,
    SerialTargetType,
    SocketMode,
)
from vmherd.conf.domain.domain import Devices, Domain
from vmherd.conf.domain.redirdev import Redirdev
from vmherd.conf.domain.rng import EgdBackend
from vmherd.conf.domain.smartcard import Smartcard

Stream = Serial | Parallel | Console | Channel | Redirdev | Smartcard | EgdBackend
_NO_CONSOLE = (SerialTargetType.PCI, SerialTargetType.USB, SerialTargetType.ISA_DEBUG)


def fill(domain: Domain) -> None:
    """Complete everything that carries a byte stream, in place."""
    devices = domain.devices
    for stream in streams_of(devices):
        _complete_source(stream)
    _number_ports(devices)
    if domain.os.type.name == "hvm":
        _mirror_serial(devices)


def streams_of(devices: Devices) -> Iterator[Stream]:
    """Every device, or part of one, that has the type and sources of a character device."""
    yield from devices.serials
    yield from devices.parallels
    yield from devices.consoles
    yield from devices.channels
    yield from devices.redirdevs
    yield from (each for each in devices.smartcards if each.type is not None)
    yield from (each.backend for each in devices.rngs if isinstance(each.backend, EgdBackend))


def _complete_source(stream: Stream) -> None:
    names = FIELDS_OF_SOURCE[stream.type] if stream.type else ()
    stream.sources = [source.only(names) for source in stream.sources]
    for source in stream.sources:
        if stream.type in (ChardevType.TCP, ChardevType.UNIX, ChardevType.UDP):
            source.mode = source.mode or SocketMode.CONNECT
    if stream.type is ChardevType.TCP:
        stream.protocol = stream.protocol or Protocol(type=ProtocolType.RAW)
    else:
        stream.protocol = None
    stream.sources = [source for source in stream.sources if _says_something(source)]
    stream.sources.sort(key=lambda source: source.mode is SocketMode.CONNECT)


def _says_something(source: ChardevSource) -> bool:
    """A source with no more than a mode leaves the rest to the driver, so it is dropped as libvirt does."""
    return source.replace(mode=None) != ChardevSource()


def _number_ports(devices: Devices) -> None:
    for serial in devices.serials:
        serial.target = serial.target or SerialTarget()
    for parallel in devices.parallels:
        parallel.target = parallel.target or ParallelTarget()
    for console in devices.consoles:
        console.target = console.target or ConsoleTarget()
    _number("serial", [serial.target for serial in devices.serials if serial.target])
    _number("parallel", [parallel.target for parallel in devices.parallels if parallel.target])
    _number("console", [console.target for console in devices.consoles if console.target])


def _number(tag: str, targets: Sequence[SerialTarget | ParallelTarget | ConsoleTarget]) -> None:
    for target in targets:
        if target.port is None:
            taken = [each.port for each in targets if each.port is not None]
            target.port = next_number(taken, f"domain/devices/{tag}/target/@port")


def _mirror_serial(devices: Devices) -> None:
    """The first console of a virtual machine is its first serial port: one device, told twice.

    Source: virDomainDefAddConsoleCompat
    """
    first = devices.consoles[0] if devices.consoles else None
    kind = first.target.type if first and first.target else None
    if first is not None and kind in (None, ConsoleTargetType.SERIAL):
        if not devices.serials:
            devices.serials.append(_serial_of(first))
        devices.consoles[0] = _console_of(devices.serials[0])
    elif first is None and devices.serials and _has_console(devices.serials[0]):
        devices.consoles.append(_console_of(devices.serials[0]))


def _has_console(serial: Serial) -> bool:
    return serial.target is None or serial.target.type not in _NO_CONSOLE


def _serial_of(console: Console) -> Serial:
    copy = console.copy()
    target = SerialTarget(port=0)
    return Serial(type=copy.type, sources=copy.sources, protocol=copy.protocol, log=copy.log, target=target)


def _console_of(serial: Serial) -> Console:
    copy = serial.copy()
    pty = copy.sources[0].path if copy.type is ChardevType.PTY and copy.sources else None
    return Console(
        type=copy.type,
        tty=pty,
        sources=copy.sources,
        protocol=copy.protocol,
        log=copy.log,
        target=ConsoleTarget(type=ConsoleTargetType.SERIAL, port=copy.target.port if copy.target else 0),
        alias=copy.alias,
    )
