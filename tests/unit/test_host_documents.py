"""Documents of host interfaces, devices and secrets: no field is forgotten, and nonsense is refused."""

from __future__ import annotations

import pytest
from tried import untried

from vmherd.conf.interface import Interface, parse_interface
from vmherd.conf.nodedev import Device, parse_device
from vmherd.conf.nodedev.kinds import ScsiHost, Storage
from vmherd.conf.secret import Secret, parse_secret
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import render

BRIDGE = """<interface type='bridge' name='br0'><start mode='onboot'/><mtu size='1500'/>
  <protocol family='ipv4'><dhcp peerdns='no'/><ip address='10.0.0.1' prefix='8'/><route gateway='10.0.0.2'/></protocol>
  <protocol family='ipv6'><autoconf/></protocol><link speed='100' state='up'/><mac address='52:54:00:00:00:01'/>
  <bridge stp='on' delay='0.5'>
    <interface type='ethernet' name='eth0'><link state='down'/><mac address='52:54:00:00:00:02'/></interface>
    <interface type='vlan' name='eth1.4'><vlan tag='4'><interface name='eth1'/></vlan></interface>
    <interface type='bond' name='bond0'><bond><interface type='ethernet' name='eth2'/></bond></interface>
  </bridge></interface>"""
BOND = """<interface type='bond' name='bond0'><start mode='none'/><bond mode='802.3ad'>
  <miimon freq='1' downdelay='2' updelay='3' carrier='netif'/><arpmon interval='1' target='10.0.0.3' validate='all'/>
  <interface type='ethernet' name='eth0'/></bond></interface>"""
VLAN = """<interface type='vlan' name='eth0.7'><start mode='none'/>
  <vlan tag='7'><interface name='eth0'/></vlan></interface>"""
SECRETS = [
    "<secret ephemeral='yes' private='yes'><uuid>22e1353d-c27e-4d6d-bf15-465053e6ba0b</uuid>"
    "<description>d</description><usage type='volume'><volume>/v</volume></usage></secret>",
    "<secret><usage type='iscsi'><target>t</target></usage></secret>",
    "<secret><usage type='tls'><name>n</name></usage></secret>",
]

_ADDRESS = "<address domain='0x0000' bus='0x02' slot='0x10' function='0x7'/>"
_TYPES = """<capability type='mdev_types'><type id='t'><name>n</name><deviceAPI>vfio-pci</deviceAPI>
  <availableInstances>1</availableInstances></type></capability>"""
_GROUP = f"<iommuGroup number='3'>{_ADDRESS}</iommuGroup>"
#: What devices can do, by its type; everything that documents may tell is in one of them.
CAPABILITIES = {
    "system": """<product>p</product><hardware><vendor>v</vendor><version>1</version><serial>s</serial>
      <uuid>12345678-1234-1234-9596-a088b277d677</uuid></hardware>
      <firmware><vendor>v</vendor><version>1</version><release_date>d</release_date></firmware>""",
    "pci": f"""<class>0x020000</class><domain>1</domain><bus>2</bus><slot>16</slot><function>7</function>
      <product id='0x10ca'>P</product><vendor id='0x8086'>V</vendor>
      <capability type='phys_function'>{_ADDRESS}</capability><capability type='pci-bridge'/>
      <capability type='virt_functions' maxCount='7'>{_ADDRESS}</capability><capability type='cardbus-bridge'/>{_TYPES}
      <capability type='vpd'><name>n</name><fields access='readwrite'><change_level>c</change_level>
      <manufacture_id>m</manufacture_id><part_number>p</part_number><serial_number>s</serial_number><asset_tag>a</asset_tag>
      <vendor_field index='0'>v</vendor_field><system_field index='A'>s</system_field></fields></capability>{_GROUP}
      <numa node='1'/><pci-express><link validity='cap' port='1' speed='2.5' width='4'/></pci-express>""",
    "usb_device": "<bus>2</bus><device>1</device><product id='0x0001'>P</product><vendor id='0x1d6b'>V</vendor>",
    "usb": "<number>1</number><class>9</class><subclass>2</subclass><protocol>3</protocol><description>d</description>",
    "net": """<interface>eth0</interface><address>52:54:00:00:00:01</address><link speed='100' state='up'/>
      <feature name='rx'/><capability type='80211'/>""",
    "scsi_host": """<host>1</host><unique_id>2</unique_id><capability type='fc_host'><wwnn>a</wwnn><wwpn>b</wwpn>
      <fabric_wwn>c</fabric_wwn></capability><capability type='vport_ops'><max_vports>2</max_vports><vports>1</vports>
      </capability>""",
    "scsi_target": """<target>target0:0:0</target><capability type='fc_remote_port'><rport>r</rport><wwpn>w</wwpn>
      </capability>""",
    "scsi": "<host>1</host><bus>2</bus><target>3</target><lun>4</lun><type>disk</type>",
    "storage": """<block>/dev/sdb</block><bus>usb</bus><drive_type>disk</drive_type><model>m</model><vendor>v</vendor>
      <serial>s</serial><size>1024</size><capability type='hotpluggable'/><capability type='removable'>
      <media_available>1</media_available><media_size>4096</media_size><media_label>l</media_label></capability>""",
    "scsi_generic": "<char>/dev/sg0</char>",
    "drm": "<type>render</type>",
    "mdev": f"""<type id='t'/><uuid>d069d019-36ea-4111-8f0a-8c9a70e21366</uuid><parent_addr>0000:00:02.0</parent_addr>
      {_GROUP}      <attr name='a' value='1'/>""",
    "ccw": "<cssid>0x0</cssid><ssid>0x1</ssid><devno>0x0002</devno>",
    "css": f"""<cssid>0x0</cssid><ssid>0x1</ssid><devno>0x0002</devno>
      <channel_dev_addr><cssid>0x0</cssid><ssid>0x1</ssid><devno>0x0002</devno></channel_dev_addr>{_TYPES}""",
    "vdpa": "<chardev>/dev/vhost-vdpa-0</chardev>",
    "ap_card": "<ap-adapter>0x07</ap-adapter>",
    "ap_queue": "<ap-adapter>0x07</ap-adapter><ap-domain>0x0001</ap-domain>",
    "ap_matrix": _TYPES,
}
DEVICE = """<device><name>d</name><path>/sys/devices/d</path><devnode type='dev'>/dev/d</devnode>
  <parent>computer</parent><driver><name>k</name></driver><capability type='{}'>{}</capability></device>"""
OTHERS = [
    "<capability type='net'><interface>e</interface><capability type='80203'/></capability>",
    "<capability type='storage'><block>/dev/sda</block><size>1024</size></capability>",
]


def test_every_kind_of_device_is_tried_and_comes_back() -> None:
    devices = [parse_device(DEVICE.format(kind, text)) for kind, text in CAPABILITIES.items()] + [
        parse_device(f"<device><name>o</name>{text}</device>") for text in OTHERS
    ]
    assert untried(Device, devices, "vmherd.conf.domain") == set()
    for device in devices:
        if not isinstance(device.capability, ScsiHost):  # whose numbers libvirt mixes up when it reads them
            assert parse_device(render(device)) == device
    drive, disk = (each.capability for each in devices if isinstance(each.capability, Storage))
    assert (drive.num_blocks, disk.num_blocks) == (None, 2), "of a drive its medium tells"
    with pytest.raises(DocumentError):
        parse_device("<device><name>d</name><capability type='teapot'/></device>")


def test_every_field_is_tried_and_comes_back() -> None:
    interfaces = [parse_interface(text) for text in (BRIDGE, BOND, VLAN)]
    assert untried(Interface, interfaces) == set()
    assert [parse_interface(render(each)) for each in interfaces] == interfaces
    secrets = [parse_secret(text) for text in SECRETS]
    assert untried(Secret, secrets) == set()
    assert [parse_secret(render(each)) for each in secrets] == secrets


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<interface type='bridge' name='b'><start mode='none'/></interface>", "interface/bridge"),
        ("<interface type='bond' name='b'><start mode='none'/><bond/></interface>", "interface/bond/interface"),
        ("<interface type='vlan' name='b'><start mode='none'/></interface>", "interface/vlan"),
        ("<interface type='ethernet' name='b'/>", "interface/start"),
        ("<interface type='tunnel' name='b'/>", "interface/@type"),
    ],
)
def test_interfaces_that_say_too_little_are_refused(text: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_interface(text)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("kind", "missing"), [("volume", "volume"), ("iscsi", "target"), ("ceph", "name"), ("vtpm", "name")]
)
def test_a_use_says_of_what(kind: str, missing: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_secret(f"<secret><usage type='{kind}'/></secret>")
    assert caught.value.place == f"secret/usage/{missing}"
