"""Backing file strings of images, in every form that QEMU writes or took once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmherd.conf.domain.backing import parse_backing
from vmherd.errors import DocumentError, InvalidArgument
from vmherd.util.xmlmodel import render


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/images/base.qcow2", ["file='/images/base.qcow2'"]),
        ("images/odd:name", ["file='images/odd:name'"]),
        ("nbd:[fe80::1]:7000:exportname=web", ["protocol='nbd' name='web'", "name='fe80::1' port='7000'"]),
        ("nbd+unix:///web?socket=/run/nbd.sock", ["name='web'", "transport='unix' socket='/run/nbd.sock'"]),
        ("gluster+rdma://store/vol/img", ["name='vol/img'", "name='store' port='24007' transport='rdma'"]),
        ("https://me:secret@host/a%20b?c=d", ["name='a b' query='c=d'", "name='host' port='443'"]),
        (
            r"rbd:pool/image@old:mon_host=a\:6789\;b:conf=/etc/ceph.conf",
            [
                "name='pool/image'",
                "name='a' port='6789'",
                "<host name='b'/>",
                "snapshot name='old'",
                "/etc/ceph.conf",
            ],
        ),
        ('json:{"driver":"qcow2","file":{"driver":"host_device","filename":"/dev/vg/lv"}}', ["dev='/dev/vg/lv'"]),
        (
            'json:{"file.driver":"nvme","file.device":"0000:0a:00.1","file.namespace":3}',
            ["namespace='3'", "bus='0x0a'"],
        ),
        (
            'json:{"driver":"iscsi","transport":"tcp","portal":"h","target":"iqn:t","lun":4}',
            ["name='iqn:t/4'", "port='3260'"],
        ),
        ('json:{"driver":"nfs","path":"/x","user":5,"server":{"host":"h","type":"inet"}}', ["user='+5'", "name='h'"]),
    ],
)
def test_a_string_becomes_a_source(text: str, words: list[str]) -> None:
    source = render(parse_backing(text))
    for word in words:
        assert word in source


def test_credentials_are_left_out() -> None:
    assert "secret" not in render(parse_backing("iscsi://me:secret@host/target"))


@pytest.mark.parametrize(
    "text",
    [
        "://",
        "carrier-pigeon://host/x",
        "nbd:host",
        "nbd+unix:///web",
        "http:///file",
        "json:",
        "json:[]",
        'json:{"driver":"file"}',
        'json:{"file.driver":"file","file.filename.x":1}',
        'json:{"driver":"https","url":"http://host/file"}',
        'json:{"driver":"iscsi","transport":"iser","portal":"h","target":"t"}',
        'json:{"driver":"nvme","device":"eth0","namespace":1}',
    ],
)
def test_what_names_nothing_is_refused_with_the_string(text: str) -> None:
    with pytest.raises(InvalidArgument, match="bad backing file"):
        parse_backing(text)


def test_nesting_has_an_end() -> None:
    with pytest.raises(InvalidArgument):
        parse_backing("json:" + '{"file":' * 200 + "{}" + "}" * 200)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["file", "driver", "server", "host", "port", "server.0.host", "url"]), inner)
    ),
    max_leaves=8,
)


@given(st.text() | st.builds("json:{}".format, st.text()))
def test_any_string_ends_in_a_source_or_a_refusal(text: str) -> None:
    try:
        render(parse_backing(text))
    except (InvalidArgument, DocumentError):  # the latter for characters that no document can hold
        return


@given(JSON, st.sampled_from(["nbd", "rbd", "gluster", "https", "iscsi", "nfs", "ssh", "raw", "sheepdog", "vxhs"]))
def test_any_options_end_in_a_source_or_a_refusal(options: object, driver: str) -> None:
    told = {"driver": driver, **(options if isinstance(options, dict) else {"file": options})}
    try:
        parse_backing("json:" + json.dumps(told))
    except InvalidArgument:
        return
