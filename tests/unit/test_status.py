"""The document in which libvirt's QEMU driver keeps a running domain."""

from __future__ import annotations

from vmherd.conf.status import DomainStatus
from vmherd.util.xmlmodel import parse, render, unknown

TEXT = """\
<domstatus state='running' reason='booted' pid='3803518'>
  <taint flag='high-privileges'/>
  <monitor path='/var/lib/guest/monitor.sock' json='1' type='unix'/>
  <namespaces>
    <mount/>
  </namespaces>
  <vcpus>
    <vcpu id='0' pid='3803519'/>
  </vcpus>
  <qemuCaps>
    <flag name='kvm'/>
  </qemuCaps>
  <job type='none' async='none'/>
  <devices>
    <device alias='balloon0'/>
  </devices>
  <libDir path='/var/lib/guest'/>
  <channelTargetDir path='/var/lib/guest/channel'/>
  <allowReboot value='yes'/>
  <nodename index='2'/>
  <fdset index='0'/>
  <blockjobs active="no"/>
  <agentTimeout>-2</agentTimeout>
  <domain type='kvm' id='7'>
    <name>web</name>
"""


def test_a_running_domain_is_read_and_written_back() -> None:
    status = parse(DomainStatus, TEXT + "<os><type>hvm</type></os></domain></domstatus>")
    assert (status.pid, status.vcpus[0].pid, status.domain.name, status.domain.id) == (3803518, 3803519, "web", 7)
    assert status.job is not None
    assert status.job.async_ == "none"
    assert status.namespaces is not None
    assert status.namespaces.mount
    written = render(status)
    assert written.startswith(TEXT)
    assert parse(DomainStatus, written) == status


def test_nothing_of_it_is_unknown() -> None:
    assert list(unknown(DomainStatus, TEXT + "<os><type>hvm</type></os></domain></domstatus>")) == []
