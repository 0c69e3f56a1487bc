"""Every failure vmherd raises on purpose, in one tree, with libvirt's error numbers.

    VmherdError
    ├── DocumentError            a document that cannot be read, or says something impossible
    │   ├── XMLSyntaxError       not even well formed
    │   └── Unsupported          understood, but this driver cannot run it
    ├── InvalidArgument          a call with a bad value
    ├── NotFound                 DomainNotFound, DeviceMissing, PoolNotFound, ...
    ├── AlreadyExists            a taken name or UUID
    ├── InvalidState             the object is in the wrong state for this
    ├── Busy                     a job holds the object; a lock is taken
    ├── Denied                   not allowed
    ├── NotSupported             the driver does not implement the call
    ├── OperationUnsupported     the driver knows the call, but cannot do it for this object, or here
    │   └── ArgumentUnsupported  one value of the call cannot be had here
    ├── PoolBuilt                a storage pool would overwrite something
    ├── OperationFailed          it was tried, and did not work out
    ├── HostError                the host lacks something: a program, a file, space
    ├── HypervisorError          the hypervisor refused, or died
    │   └── NotResponding        it is there, and silent
    ├── Cancelled                a job was aborted by request
    └── ConnectFailed            no such driver, or it cannot be opened

The numbers are libvirt's ``virErrorNumber`` (include/libvirt/virterror.h), since they go over its wire.
Any other exception that escapes is a bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class VmherdError(Exception):
    """Base of all errors raised on purpose.

    ``message`` says what went wrong and where; ``hint`` what the reader can do about it, or "".
    """

    code: ClassVar[int] = 1  # VIR_ERR_INTERNAL_ERROR
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class DocumentError(VmherdError):
    """A document that cannot be understood or contradicts itself.

    ``place`` is a path like ``domain/devices/disk[2]/target/@bus``; ``line`` the line in the text it came
    from, or 0 where there is none.  ``parts`` are the single problems of an error that tells several.
    """

    code = 27  # VIR_ERR_XML_ERROR
    http_status = 400

    def __init__(
        self, message: str, *, place: str = "", line: int = 0, hint: str = "", parts: Sequence[DocumentError] = ()
    ) -> None:
        where = place + (f" (line {line})" if line else "")
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.problem = message
        self.place = place
        self.line = line
        self.parts = tuple(parts)


class XMLSyntaxError(DocumentError):
    """The text is not well formed, or exceeds a limit."""

    code = 35  # VIR_ERR_XML_DETAIL


class Unsupported(DocumentError):
    """The document is valid, but this driver or hypervisor binary cannot run it."""

    code = 67  # VIR_ERR_CONFIG_UNSUPPORTED


class InvalidArgument(VmherdError):
    code = 8  # VIR_ERR_INVALID_ARG
    http_status = 400


class NotFound(VmherdError):
    code = 42
    http_status = 404


class DomainNotFound(NotFound):
    code = 42  # VIR_ERR_NO_DOMAIN

    def __init__(self, key: str) -> None:
        super().__init__(f"no domain {key!r}", hint="'vmherd list' shows every guest")
        self.key = key


class DeviceMissing(NotFound):
    """The domain has no such device."""

    code = 99  # VIR_ERR_DEVICE_MISSING


class NoHostname(NotFound):
    code = 108  # VIR_ERR_NO_HOSTNAME


class MetadataNotFound(NotFound):
    code = 80  # VIR_ERR_NO_DOMAIN_METADATA


class PoolNotFound(NotFound):
    code = 49  # VIR_ERR_NO_STORAGE_POOL

    def __init__(self, key: str) -> None:
        super().__init__(f"no storage pool {key!r}", hint="'vmherd pool list' shows those that there are")


class VolumeNotFound(NotFound):
    code = 50  # VIR_ERR_NO_STORAGE_VOL

    def __init__(self, key: str) -> None:
        super().__init__(f"no storage volume {key!r}", hint="a refresh of its pool finds what others made")


class NetworkNotFound(NotFound):
    code = 43  # VIR_ERR_NO_NETWORK

    def __init__(self, key: str) -> None:
        super().__init__(f"no network {key!r}", hint="'vmherd network list --all' shows those that there are")


class NetworkPortNotFound(NotFound):
    code = 107  # VIR_ERR_NO_NETWORK_PORT

    def __init__(self, key: str) -> None:
        super().__init__(f"no network port {key!r}", hint="'vmherd network ports' shows those that there are")


class FilterNotFound(NotFound):
    code = 62  # VIR_ERR_NO_NWFILTER

    def __init__(self, key: str) -> None:
        super().__init__(f"no network filter {key!r}", hint="'vmherd nwfilter list' shows those that there are")
        self.key = key


class BindingNotFound(NotFound):
    code = 101  # VIR_ERR_NO_NWFILTER_BINDING

    def __init__(self, device: str) -> None:
        super().__init__(f"no network filter is applied to {device!r}")


class InterfaceNotFound(NotFound):
    code = 57  # VIR_ERR_NO_INTERFACE

    def __init__(self, key: str) -> None:
        super().__init__(f"no interface {key!r}", hint="'vmherd interface list --all' shows those that there are")


class MultipleInterfaces(VmherdError):
    code = 59  # VIR_ERR_MULTIPLE_INTERFACES
    http_status = 409


class NodeDeviceNotFound(NotFound):
    code = 53  # VIR_ERR_NO_NODE_DEVICE

    def __init__(self, name: str) -> None:
        super().__init__(f"no node device {name!r}", hint="'vmherd device list' shows those that there are")


class SecretNotFound(NotFound):
    code = 66  # VIR_ERR_NO_SECRET

    def __init__(self, key: str, problem: str = "is not there", hint: str = "") -> None:
        super().__init__(f"secret {key!r} {problem}", hint=hint)


class AlreadyExists(VmherdError):
    code = 9  # VIR_ERR_OPERATION_FAILED: what libvirt answers for a taken name or UUID
    http_status = 409


class VolumeExists(AlreadyExists):
    code = 90  # VIR_ERR_STORAGE_VOL_EXIST

    def __init__(self, name: str) -> None:
        super().__init__(f"storage volume '{name}' exists already", hint="choose another name")


class InvalidState(VmherdError):
    code = 55  # VIR_ERR_OPERATION_INVALID
    http_status = 409


class Busy(VmherdError):
    code = 68  # VIR_ERR_OPERATION_TIMEOUT
    http_status = 409


class Denied(VmherdError):
    code = 88  # VIR_ERR_ACCESS_DENIED
    http_status = 403


class ReadOnly(Denied):
    code = 29  # VIR_ERR_OPERATION_DENIED


class NotSupported(VmherdError):
    """The driver does not implement the operation.  Raised by the base classes in ``driver/`` only."""

    code = 3  # VIR_ERR_NO_SUPPORT
    http_status = 501

    def __init__(self, operation: str, driver: str = "") -> None:
        super().__init__(f"{driver or 'this'} driver does not support {operation}")
        self.operation = operation
        self.driver = driver


class OperationUnsupported(VmherdError):
    code = 84  # VIR_ERR_OPERATION_UNSUPPORTED
    http_status = 501


class ArgumentUnsupported(OperationUnsupported):
    code = 74  # VIR_ERR_ARGUMENT_UNSUPPORTED


class PoolBuilt(VmherdError):
    """What a storage pool is made of has content already, which nobody allowed to overwrite."""

    code = 76  # VIR_ERR_STORAGE_POOL_BUILT
    http_status = 409


class OperationFailed(VmherdError):
    code = 9  # VIR_ERR_OPERATION_FAILED


class HostError(VmherdError):
    code = 38  # VIR_ERR_SYSTEM_ERROR
    http_status = 500


class HypervisorError(VmherdError):
    code = 1
    http_status = 502


class NotResponding(HypervisorError):
    """The hypervisor process exists but did not answer within the deadline."""

    code = 86  # VIR_ERR_AGENT_UNRESPONSIVE has the nearest meaning to a client
    http_status = 504


class Cancelled(VmherdError):
    code = 78  # VIR_ERR_OPERATION_ABORTED
    http_status = 409


class ConnectFailed(VmherdError):
    code = 5  # VIR_ERR_NO_CONNECT
    http_status = 502
