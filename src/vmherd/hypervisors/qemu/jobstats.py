"""Jobs in libvirt's names (VIR_DOMAIN_JOB_*): milliseconds and bytes.

Source: virDomainJobOperation, and qemuDomainJobDataToParams of libvirt.
"""

from __future__ import annotations

from vmherd.driver.control import JobStats, JobType
from vmherd.driver.params import Params
from vmherd.driver.types import JobInfo
from vmherd.state.jobs import EndedJob

#: The jobs that libvirt tells of, by our words; the others are too short to be asked about.
_OPERATIONS = {"start": 1, "save": 2, "restore": 3, "snapshot": 6, "dump": 8, "backup": 9}


def running(info: JobInfo | None, now: float) -> JobStats:
    """The job that a domain has now."""
    if info is None or info.operation not in _OPERATIONS:
        return JobStats()
    kind = JobType.BOUNDED if info.total else JobType.UNBOUNDED
    return JobStats(type=kind, params=_params(info, now - info.started))


def ended(job: EndedJob | None) -> JobStats:
    """A job that was done."""
    if job is None or job.info.operation not in _OPERATIONS:
        return JobStats()
    return JobStats(type=JobType.COMPLETED, params=_params(job.info, job.seconds))


def _params(info: JobInfo, seconds: float) -> Params:
    params: Params = {"operation": _OPERATIONS[info.operation], "time_elapsed": max(0, int(seconds * 1000))}
    if info.total:
        left = max(0, info.total - info.processed)
        for what in ("data", "memory"):
            counts = {"total": info.total, "processed": info.processed, "remaining": left}
            params |= {f"{what}_{name}": count for name, count in counts.items()}
        params |= {"disk_total": 0, "disk_processed": 0, "disk_remaining": 0}
    return params
