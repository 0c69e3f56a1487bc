"""Parameters that go by name: the type that libvirt gives each, and which of them may be set.

The driver API has them as plain dicts of numbers, truths and texts; their types matter on the wire, and to whoever
sets them.  Source: the VIR_DOMAIN_ and VIR_NODE_ macros of include/libvirt/*.h, and what they say of themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from types import MappingProxyType

from vmherd.errors import ArgumentUnsupported, InvalidArgument

#: A parameter's value; its name tells which of these it must be.
Value = int | float | bool | str
Params = dict[str, Value]


class Kind(IntEnum):
    """virTypedParameterType."""

    INT = 1
    UINT = 2
    LLONG = 3
    ULLONG = 4
    DOUBLE = 5
    BOOLEAN = 6
    STRING = 7

    @property
    def word(self) -> str:
        """As libvirt's complaints name it.  Source: virTypedParameterTypeToString"""
        return self.name.lower()


_RANGES = {
    Kind.INT: range(-(1 << 31), 1 << 31),
    Kind.UINT: range(1 << 32),
    Kind.LLONG: range(-(1 << 63), 1 << 63),
    Kind.ULLONG: range(1 << 64),
}

Table = Mapping[str, Kind]


def _table(**kinds: str) -> Table:
    """The words of each kind, by name."""
    found = {name: Kind[kind.upper()] for kind, names in kinds.items() for name in names.split()}
    return MappingProxyType(found)


#: A limit of memory that is none (VIR_DOMAIN_MEMORY_PARAM_UNLIMITED), in KiB.
UNLIMITED_KIB = 9007199254740991

SCHEDULER = _table(
    ullong="cpu_shares vcpu_period emulator_period global_period iothread_period",
    llong="vcpu_quota emulator_quota global_quota iothread_quota",
)
#: Schedulers of other hypervisors: Xen's, and ESX's.
SCHEDULER_ELSEWHERE = _table(uint="weight cap", llong="reservation limit", int="shares")
MEMORY = _table(ullong="hard_limit soft_limit min_guarantee swap_hard_limit")
BLKIO = _table(
    uint="weight",
    string="device_weight device_read_iops_sec device_write_iops_sec device_read_bytes_sec device_write_bytes_sec",
)
NUMA = _table(int="numa_mode", string="numa_nodeset")
INTERFACE = _table(
    uint="inbound.average inbound.peak inbound.burst inbound.floor outbound.average outbound.peak outbound.burst"
)
IOTHREAD = _table(ullong="poll_max_ns", uint="poll_grow poll_shrink", int="thread_pool_min thread_pool_max")
PERF = _table(
    boolean="cmt mbmt mbml cache_misses cache_references instructions cpu_cycles branch_instructions branch_misses "
    "bus_cycles stalled_cycles_frontend stalled_cycles_backend ref_cpu_cycles cpu_clock task_clock page_faults "
    "context_switches cpu_migrations page_faults_min page_faults_maj alignment_faults emulation_faults"
)
BLOCK_IO_TUNE = _table(
    ullong="total_bytes_sec read_bytes_sec write_bytes_sec total_iops_sec read_iops_sec write_iops_sec "
    "total_bytes_sec_max read_bytes_sec_max write_bytes_sec_max total_iops_sec_max read_iops_sec_max "
    "write_iops_sec_max size_iops_sec total_bytes_sec_max_length read_bytes_sec_max_length "
    "write_bytes_sec_max_length total_iops_sec_max_length read_iops_sec_max_length write_iops_sec_max_length",
    string="group_name",
)
BLOCK_COPY = _table(ullong="bandwidth buf-size", uint="granularity")
SAVE = _table(string="file dxml")
MIGRATE = _table(
    string="migrate_uri destination_name destination_xml persistent_xml graphics_uri listen_address migrate_disks "
    "disks_uri compression tls.destination",
    int="disks_port compression.mt.level compression.mt.threads compression.mt.dthreads auto_converge.initial "
    "auto_converge.increment parallel.connections",
    ullong="bandwidth bandwidth.postcopy compression.xbzrle.cache",
)
NODE_MEMORY = _table(uint="shm_pages_to_scan shm_sleep_millisecs shm_merge_across_nodes")
LAUNCH_SECRET = _table(string="sev-secret-header sev-secret", ullong="sev-secret-set-address")
IDENTITY = _table(
    string="user-name group-name sasl-user-name x509-distinguished-name selinux-context",
    ullong="unix-user-id unix-group-id process-time",
    llong="process-id",
)
SERVER_CLIENTS = _table(uint="nclients_max nclients_unauth_max")
THREADPOOL = _table(uint="minWorkers maxWorkers prioWorkers")

#: What may be set, by what it is set of.
WRITABLE: tuple[Table, ...] = (
    SCHEDULER,
    SCHEDULER_ELSEWHERE,
    MEMORY,
    BLKIO,
    NUMA,
    INTERFACE,
    IOTHREAD,
    PERF,
    BLOCK_IO_TUNE,
    BLOCK_COPY,
    SAVE,
    MIGRATE,
    NODE_MEMORY,
    LAUNCH_SECRET,
    IDENTITY,
    SERVER_CLIENTS,
    THREADPOOL,
)

_TUNABLE_BLOCK = _table(
    string="blkdeviotune.disk blkdeviotune.group_name",
    ullong=" ".join(f"blkdeviotune.{name}" for name, kind in BLOCK_IO_TUNE.items() if kind is Kind.ULLONG),
)

#: What is only told.
_TOLD: tuple[Table, ...] = (
    _table(ullong="cpu_time user_time system_time vcpu_time"),
    _table(
        llong="rd_bytes rd_operations wr_bytes wr_operations rd_total_times wr_total_times flush_operations "
        "flush_total_times errs"
    ),
    _table(
        int="operation auto_converge_throttle",
        boolean="success",
        string="errmsg",
        ullong="time_elapsed time_elapsed_net time_remaining downtime downtime_net setup_time data_total "
        "data_processed data_remaining memory_total memory_processed memory_remaining memory_constant memory_normal "
        "memory_normal_bytes memory_bps memory_dirty_rate memory_iteration memory_page_size memory_postcopy_requests "
        "disk_total disk_processed disk_remaining disk_bps disk_temp_used disk_temp_total compression_cache "
        "compression_bytes compression_pages compression_cache_misses compression_overflow",
    ),
    _table(
        string="cputune.emulatorpin cputune.vcpupin%u cputune.iothreadpin%u",
        ullong="cputune.cpu_shares cputune.vcpu_period cputune.emulator_period cputune.global_period "
        "cputune.iothread_period",
        llong="cputune.vcpu_quota cputune.emulator_quota cputune.global_quota cputune.iothread_quota",
    ),
    _TUNABLE_BLOCK,
    _table(
        ullong="shm_pages_shared shm_pages_sharing shm_pages_unshared shm_pages_volatile shm_full_scans",
    ),
    _table(string="pdh cert-chain cpu0-id", uint="cbitpos reduced-phys-bits max-guests max-es-guests"),
    _table(string="sev-measurement", uint="sev-api-major sev-api-minor sev-build-id sev-policy"),
    _table(
        uint="user.count fs.count fs.%u.disk.count disk.count disk.%u.dependency.count if.count if.%u.addr.count "
        "if.%u.addr.%u.prefix",
        ullong="user.%u.login-time fs.%u.total-bytes fs.%u.used-bytes",
        int="timezone.offset",
        boolean="disk.%u.partition",
        string="user.%u.name user.%u.domain os.id os.name os.pretty-name os.version os.version-id os.machine "
        "os.variant os.variant-id os.kernel-release os.kernel-version timezone.name hostname fs.%u.mountpoint "
        "fs.%u.name fs.%u.fstype fs.%u.disk.%u.alias fs.%u.disk.%u.serial fs.%u.disk.%u.device disk.%u.name "
        "disk.%u.dependency.%u.name disk.%u.serial disk.%u.alias disk.%u.guest_alias disk.%u.guest_bus if.%u.name "
        "if.%u.hwaddr if.%u.addr.%u.type if.%u.addr.%u.addr",
    ),
    _table(string="vcpus online offlinable"),
    _table(uint="nclients nclients_unauth nWorkers freeWorkers jobQueueDepth"),
    _table(
        boolean="readonly",
        string="sasl_user_name tls_x509_dname selinux_context unix_user_name unix_group_name sock_addr",
        int="unix_user_id unix_group_id unix_process_id",
    ),
)

_NUMBER = re.compile(r"\d+(?=\.|$)")


@cache
def _all() -> dict[str, Kind]:
    return {name: kind for table in (*_TOLD, *WRITABLE) for name, kind in table.items()}


def kind_of(name: str) -> Kind | None:
    """The type of a parameter, whoever tells or sets it; None for a name that is none of these."""
    known = _all()
    return known.get(name) or known.get(_NUMBER.sub("%u", name))


def check(params: Params, allowed: Table) -> None:
    """Raise ArgumentUnsupported for a parameter that cannot be set there, InvalidArgument for one of another type.

    Source: virTypedParamsValidate of libvirt.
    """
    for name, value in params.items():
        kind = allowed.get(name)
        if kind is None:
            raise ArgumentUnsupported(f"parameter '{name}' not supported", hint=f"there are: {', '.join(allowed)}")
        if not _fits(value, kind):
            raise InvalidArgument(f"invalid value {value!r} for parameter '{name}', expected '{kind.word}'")


def _fits(value: Value, kind: Kind) -> bool:
    if kind is Kind.STRING or kind is Kind.BOOLEAN:
        return isinstance(value, str if kind is Kind.STRING else bool)
    if kind is Kind.DOUBLE:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, int) and not isinstance(value, bool) and value in _RANGES[kind]
