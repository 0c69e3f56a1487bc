"""Pools and volumes: what is filled in, what is refused, and that no field is forgotten."""

from __future__ import annotations

import pytest
from tried import untried

from vmherd.conf.storage import Pool, Volume, parse_pool, parse_volume, render, render_pool
from vmherd.conf.storage.pool import FreeExtent
from vmherd.conf.storage.volume import Timestamps
from vmherd.errors import DocumentError

NETFS = """<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'>
  <name>n</name><uuid>7641d5a8-af11-f730-a34e-0a7dfcede71f</uuid>
  <features><cow state='yes'/></features>
  <source><host name='h' port='2049'/><dir path='//a///b/'/><format type='nfs'/><protocol ver='4.1'/>
    <vendor name='v'/><product name='p'/></source>
  <target><path>/mnt//n/</path>
    <permissions><mode>0750</mode><owner>12</owner><group>13</group><label>l</label></permissions></target>
  <fs:mount_opts><fs:option name='ro'/></fs:mount_opts>
</pool>"""
ISCSI = """<pool type='iscsi-direct'><name>i</name>
  <source><host name='h'/><device path='iqn.2020-01.x:y' part_separator='no'/>
    <initiator><iqn name='iqn.me'/></initiator>
    <auth type='chap' username='u'><secret usage='s'/></auth></source></pool>"""
SCSI = """<pool type='scsi'><name>s</name><source><adapter type='scsi_host'><parentaddr unique_id='1'>
  <address domain='0x0000' bus='0x00' slot='0x1f' function='0x2'/></parentaddr></adapter></source>
  <target><path>/dev/disk/by-path</path></target></pool>"""
FIBRE = """<pool type='scsi'><name>f</name><source><adapter name='x' parent='scsi_host3' parent_wwnn='1' parent_wwpn='2'
  parent_fabric_wwn='3' managed='yes' wwnn='20000000c9831b4b' wwpn='10000000c9831b4b'/></source>
  <target><path>/dev</path></target></pool>"""
RBD = """<pool type='rbd' xmlns:rbd='http://libvirt.org/schemas/storagepool/rbd/1.0'>
  <source><name>r</name><host name='m'/></source>
  <rbd:config_opts><rbd:option name='a' value='b'/></rbd:config_opts></pool>"""
DIR = "<pool type='dir'><name>d</name><target><path>/d</path></target></pool>"
POOLS = [parse_pool(text) for text in (NETFS, ISCSI, SCSI, FIBRE, RBD, DIR)]

VOLUME = """<volume type='file'><name>v.qcow2</name><key>/d/v.qcow2</key><capacity unit='GiB'>2</capacity>
  <allocation>1</allocation><physical>2</physical>
  <target><path>/d/v.qcow2</path><format type='qcow2'/>
    <permissions><mode>0600</mode><owner>1</owner><group>2</group><label>l</label></permissions>
    <encryption format='luks'/><compat>1.1</compat><clusterSize unit='KiB'>128</clusterSize><nocow/>
    <features><lazy_refcounts/><extended_l2/></features></target>
  <backingStore><path>/d/b</path><format type='raw'/><permissions><mode>0600</mode></permissions></backingStore>
</volume>"""


def test_every_field_is_tried() -> None:
    # Sizes of pools are measured, as is the room on a disk: what a document says of them is not taken.
    disk = parse_pool(ISCSI)
    disk.source.devices[0].free = [FreeExtent(start=1, end=2)]
    assert untried(Pool, [*POOLS, disk], "vmherd.conf.domain") == set()
    # So are the times of volumes.
    volume = parse_volume(VOLUME, POOLS[-1])
    volume.target.timestamps = Timestamps(atime="1.5", mtime="2", ctime="3", btime="4")
    assert untried(Volume, [volume], "vmherd.conf.domain") == set()
    assert parse_volume(render(volume), POOLS[-1]).target.timestamps is None


def test_what_is_written_is_read_as_the_same() -> None:
    for pool in POOLS:
        assert parse_pool(render_pool(pool)) == pool
    volume = parse_volume(VOLUME, POOLS[-1])
    assert parse_volume(render(volume), POOLS[-1]) == volume


def test_what_follows_from_the_rest_is_filled_in() -> None:
    netfs = POOLS[0]
    assert netfs.source.dir
    assert netfs.source.dir.path == "//a/b"
    assert netfs.target
    assert netfs.target.path == "/mnt/n"
    logical = parse_pool("<pool type='logical'><name>vg</name><target><path>/elsewhere</path></target></pool>")
    assert logical.target
    assert (logical.source.name, logical.target.path) == ("vg", "/dev/vg")
    assert parse_pool(RBD).name == "r"
    plain = parse_volume("<volume><name>v</name><capacity unit='M'>1</capacity></volume>", POOLS[-1])
    assert plain.target.format
    assert (plain.type, plain.target.format.type, plain.allocation) == ("file", "raw", 1 << 20)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<pool type='dir'><target><path>/d</path></target></pool>", "pool/name"),
        ("<pool type='dir'><name>a/b</name><target><path>/d</path></target></pool>", "pool/name"),
        ("<pool type='dir'><name>a</name></pool>", "pool/target/path"),
        ("<pool type='tape'><name>a</name></pool>", "pool/@type"),
        ("<pool type='netfs'><name>a</name><source><host name='h'/></source></pool>", "pool/source/dir"),
        ("<pool type='netfs'><name>a</name><source><dir path='/'/></source></pool>", "pool/source/host"),
        ("<pool type='fs'><name>a</name><target><path>/d</path></target></pool>", "pool/source/device"),
        (
            "<pool type='disk'><name>a</name><source><device path='/dev/x'/><format type='zip'/></source></pool>",
            "format",
        ),
        ("<pool type='scsi'><name>a</name></pool>", "pool/source/adapter"),
        ("<pool type='scsi'><name>a</name><source><adapter/></source></pool>", "pool/source/adapter"),
        ("<pool type='scsi'><name>a</name><source><adapter wwnn='1'/></source></pool>", "pool/source/adapter/@wwnn"),
        (
            "<pool type='iscsi-direct'><name>a</name><source><host name='h'/><device path='d'/></source></pool>",
            "initiator",
        ),
        (DIR.replace("<path>/d</path>", "<path>/d</path><permissions><mode>0999</mode></permissions>"), "mode"),
    ],
)
def test_pools_that_say_too_little_or_nonsense_are_refused(text: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_pool(text)
    assert place in caught.value.place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<volume><capacity>1</capacity></volume>", "volume/name"),
        ("<volume><name>v</name></volume>", "volume/capacity"),
        ("<volume><name>v</name><capacity>1</capacity><target><format type='zip'/></target></volume>", "format/@type"),
        ("<volume><name>v</name><capacity>1</capacity><target><compat>x</compat></target></volume>", "compat"),
    ],
)
def test_volumes_that_say_too_little_or_nonsense_are_refused(text: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_volume(text, POOLS[-1])
    assert place in caught.value.place
