"""What qemu-img, mount and vgchange are told, and what is refused before they are asked."""

from __future__ import annotations

import pytest

from vmherd.conf.storage import parse_pool, parse_volume
from vmherd.errors import VmherdError
from vmherd.resources.storage import activate
from vmherd.resources.storage.qemuimg import Image, commands

FOLDER = parse_pool("<pool type='dir'><name>d</name><target><path>/d</path></target></pool>")
LUKS = "<encryption format='luks'><secret type='passphrase' uuid='22e1353d-c27e-4d6d-bf15-465053e6ba0b'/></encryption>"


def image(target: str, more: str = "", name: str = "v") -> Image:
    text = f"<volume><name>{name}</name><capacity>1048577</capacity><target>{target}</target>{more}</volume>"
    return Image(volume=parse_volume(text, FOLDER), path=f"/d/{name}", secret="/run/a,b")


def test_sizes_are_rounded_up_and_commas_doubled() -> None:
    (argv,) = commands(image(f"<format type='raw'/>{LUKS}", name="a,b"))
    assert argv[-2:] == ["/d/a,b", "1025K"]
    assert "secret,id=a,b_encrypt0,file=/run/a,,b" in argv


def test_a_copy_has_the_base_that_is_asked_for() -> None:
    backing = "<backingStore><path>/d/b</path><format type='raw'/></backingStore>"
    (plain,) = commands(image("<format type='qcow2'/>", backing))
    (copied,) = commands(image("<format type='qcow2'/>", backing), image("<format type='raw'/>", name="w"))
    assert "-b" in plain
    assert "-B" in copied


@pytest.mark.parametrize(
    ("target", "more", "metadata", "words"),
    [
        (f"<format type='vmdk'/>{LUKS}", "", False, "unsupported with format vmdk"),
        (f"<format type='qcow2'/>{LUKS.replace('luks', 'qcow')}", "", False, "'qcow'"),
        ("<format type='raw'/><encryption format='luks'/>", "", False, "one secret"),
        ("<format type='raw'/>", "", True, "only available with qcow2"),
        ("<format type='qcow2'/>", "<backingStore><path>/b</path></backingStore>", True, "conflicts"),
        (
            "<format type='qcow2'/><compat>0.10</compat><features><lazy_refcounts/></features>",
            "",
            False,
            "compat level",
        ),
    ],
)
def test_what_qemu_img_cannot_do_is_refused(target: str, more: str, metadata: bool, words: str) -> None:
    with pytest.raises(VmherdError, match=words):
        commands(image(target, more), metadata=metadata)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<host name='h'/><dir path='/x'/><format type='nfs'/>", "-o nodev,nosuid,noexec -t nfs h:/x /m"),
        ("<host name='h'/><dir path='x'/><format type='cifs'/>", "-o nodev,nosuid,noexec,guest -t cifs //h/x /m"),
        ("<host name='h'/><dir path='/x'/>", "-o nodev,nosuid,noexec h:/x /m"),
    ],
)
def test_network_file_systems_are_mounted(source: str, words: str) -> None:
    pool = parse_pool(
        f"<pool type='netfs'><name>n</name><source>{source}</source><target><path>/m</path></target></pool>"
    )
    assert activate.command(pool) == ["mount", *words.split()]


def test_a_folder_needs_no_command() -> None:
    with pytest.raises(VmherdError, match="without a command"):
        activate.command(FOLDER)
