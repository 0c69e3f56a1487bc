"""The XML engine: what a declaration reads and writes, and what it says about documents that are wrong."""

from __future__ import annotations

import copy
from enum import StrEnum
from textwrap import dedent
from typing import Annotated

import msgspec
import pytest

from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import (
    Codec,
    Element,
    Hex2,
    Kind,
    Size,
    SizeCodec,
    SizeInBytes,
    Switch,
    UInt,
    attr,
    child,
    children,
    declared,
    flag,
    leaf,
    parse,
    parse_any,
    raw,
    reachable,
    render,
    text,
    unknown,
    variant,
)

QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"


class Bus(StrEnum):
    IDE = "ide"
    SCSI = "scsi"
    VIRTIO = "virtio"


class Tray(StrEnum):
    CLOSED = "closed"
    OPEN = "open"


class Target(Element, tag="target"):
    dev: str = attr()
    bus: Bus | None = attr()
    removable: Switch | None = attr()
    tray: Tray = attr(default=Tray.CLOSED)


class FileSource(Element, tag="source", json={"kind": "file"}):
    file: str = attr()


class BlockSource(Element, tag="source", json={"kind": "block"}):
    dev: str = attr()


class PciAddress(Element, tag="address", when={"type": "pci"}):
    slot: Hex2 = attr()


class UsbAddress(Element, tag="address", when={"type": "usb"}):
    port: str = attr()


class Device(Element):
    address: PciAddress | UsbAddress | None = child(last=True)


class Disk(Device, tag="disk", json={"device": "disk"}):
    type: str = attr(default="file", always=True)
    source: FileSource | BlockSource | None = variant("type", {"file": FileSource, "block": BlockSource})
    target: Target = child()
    read_only: bool = flag("readonly")
    serial: str | None = leaf()
    backing: Disk | None = child("backingStore")


class Nic(Device, tag="interface", json={"device": "interface"}):
    model: str | None = leaf()


class IoThread(Element, tag="iothread"):
    id: UInt = attr()


class MaxMemory(Element, tag="maxMemory"):
    slots: UInt | None = attr()
    size: Size = text()


class Page(Element, tag="page"):
    size: Size = attr()
    nodes: str | None = attr("nodeset")


class Arg(Element, tag=QEMU + "arg", prefix="qemu"):
    value: str = attr()


class CommandLine(Element, tag=QEMU + "commandline", prefix="qemu"):
    args: list[Arg] = children()
    extra: list[Arg] = children(QEMU + "extra")


class Devices(Element, tag="devices"):
    emulator: str | None = leaf()
    all: list[Disk | Nic] = children()


class Guest(Element, tag="guest"):
    name: str = leaf()
    memory: Size | None = leaf()
    max_memory: MaxMemory | None = child()
    metadata: str | None = raw()
    threads: list[IoThread] = children(within="iothreads")
    args: list[str] = leaf("arg", within="args")
    pages: list[Page] = children(within="hugepages")
    devices: Devices = child(default=Devices)
    command: CommandLine | None = child()


FULL = """\
<guest xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
  <memory unit='KiB'>1048576</memory>
  <maxMemory slots='16' unit='KiB'>4194304</maxMemory>
  <iothreads>
    <iothread id='1'/>
    <iothread id='2'/>
  </iothreads>
  <args>
    <arg>-v</arg>
    <arg>two words</arg>
  </args>
  <hugepages>
    <page size='2048' unit='KiB' nodeset='0-3'/>
  </hugepages>
  <devices>
    <disk type='block'>
      <source dev='/dev/vg/web'/>
      <target dev='vda' bus='virtio' removable='off'/>
      <readonly/>
      <serial>A &amp; B</serial>
      <backingStore type='file'>
        <source file='/base.img'/>
        <target dev='x'/>
      </backingStore>
      <address type='pci' slot='0x1f'/>
    </disk>
    <interface>
      <model>e1000</model>
      <address type='usb' port='1.2'/>
    </interface>
    <disk type='file'>
      <target dev='sda' tray='open'/>
    </disk>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-S'/>
    <qemu:extra value='more'/>
  </qemu:commandline>
</guest>
"""


def guest(inner: str) -> Guest:
    return parse(Guest, f"<guest><name>g</name>{inner}</guest>")


def disk(inner: str, attributes: str = "") -> Disk:
    return parse(Disk, f"<disk {attributes}><target dev='vda'/>{inner}</disk>")


def complaint(cls: type[Element], document: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(cls, document)
    return caught.value


def test_a_document_in_the_written_layout_comes_back_to_the_letter():
    assert render(parse(Guest, FULL)) == FULL


def test_every_kind_of_field_is_read():
    full = parse(Guest, FULL)
    first, card, second = full.devices.all
    assert (full.name, full.memory, full.max_memory) == ("web", 1 << 30, MaxMemory(slots=16, size=4 << 30))
    assert [thread.id for thread in full.threads] == [1, 2]
    assert (full.args, full.pages) == (["-v", "two words"], [Page(size=2 << 20, nodes="0-3")])
    assert isinstance(first, Disk)
    assert (first.source, first.serial, first.read_only) == (BlockSource(dev="/dev/vg/web"), "A & B", True)
    assert first.target == Target(dev="vda", bus=Bus.VIRTIO, removable=False, tray=Tray.CLOSED)
    assert first.backing == Disk(source=FileSource(file="/base.img"), target=Target(dev="x"))
    assert first.address == PciAddress(slot=31)
    assert card == Nic(model="e1000", address=UsbAddress(port="1.2"))
    assert second == Disk(target=Target(dev="sda", tray=Tray.OPEN))
    assert full.command == CommandLine(args=[Arg(value="-S")], extra=[Arg(value="more")])


def test_what_is_absent_is_none_the_default_or_empty():
    bare = guest("")
    assert (bare.memory, bare.threads, bare.args, bare.devices) == (None, [], [], Devices())
    assert render(bare) == "<guest>\n  <name>g</name>\n</guest>\n"


def test_an_empty_wrapper_is_an_empty_list():
    assert guest("<iothreads/><args/>") == guest("")


def test_order_comments_and_unknown_parts_do_not_matter():
    mixed = "<!-- a --><x y='1'><name>n</name></x><memory>1<!-- b -->024</memory><?pi?><devices later='1'/>"
    assert guest(mixed).memory == 1024 * 1024


def test_the_first_of_two_elements_counts():
    assert guest("<memory>1</memory><memory>2</memory>").memory == 1024


def test_render_indents_the_whole_fragment():
    assert render(IoThread(id=1), indent=4) == "    <iothread id='1'/>\n"
    assert render(disk(""), indent=2) == "  <disk type='file'>\n    <target dev='vda'/>\n  </disk>\n"


def test_no_namespace_is_declared_when_nothing_uses_it():
    assert "xmlns" not in render(guest(""))


def test_a_namespaced_fragment_declares_its_namespace_itself():
    fragment = render(CommandLine(args=[Arg(value="1")]))
    assert fragment.startswith("<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n")
    assert parse(CommandLine, fragment) == CommandLine(args=[Arg(value="1")])
    assert parse(CommandLine, render(CommandLine())) == CommandLine()


def test_a_namespaced_root_may_have_text():
    class Path(Element, tag="{urn:path}path", prefix="p"):
        value: str = text()

    assert render(Path(value="a > b")) == "<p:path xmlns:p='urn:path'>a &gt; b</p:path>\n"


def test_the_prefix_a_document_chose_does_not_matter():
    text = f"<guest xmlns:q='{QEMU[1:-1]}'><name>g</name><q:commandline><q:arg value='1'/></q:commandline></guest>"
    assert parse(Guest, text).command == CommandLine(args=[Arg(value="1")])


def test_an_element_of_another_namespace_is_another_element():
    assert guest("<commandline/><memory xmlns='urn:x'>1</memory>") == guest("")


def test_a_variant_follows_the_attribute_of_its_parent():
    both = "<source file='/f' dev='/d'/>"
    assert disk(both).source == FileSource(file="/f")
    assert disk(both, "type='block'").source == BlockSource(dev="/d")
    assert disk(both, "type='network'").source is None


def test_parse_any_takes_the_class_with_the_tag_and_the_attribute():
    assert parse_any([Nic, IoThread], "<iothread id='3'/>") == IoThread(id=3)
    assert parse_any([PciAddress, UsbAddress], "<address type='usb' port='1'/>") == UsbAddress(port="1")
    with pytest.raises(DocumentError, match="this is a <disk>, not a <interface> or <iothread>"):
        parse_any([Nic, IoThread], "<disk/>")


class TestErrors:
    def test_a_bad_value_is_named_with_place_line_choice_and_hint(self):
        error = complaint(Guest, FULL.replace("bus='virtio'", "bus='vertio'"))
        assert error.place == "guest/devices/disk[1]/target/@bus"
        assert error.line == 19
        assert error.problem == "'vertio' is not one of: ide, scsi, virtio"
        assert error.hint == "did you mean 'virtio'?"

    def test_a_bad_text_is_placed_at_its_element(self):
        error = complaint(Guest, "<guest>\n<name>g</name>\n<memory>much</memory></guest>")
        assert (error.place, error.line) == ("guest/memory", 3)
        assert error.problem == "'much' is not a whole number"

    def test_a_namespaced_place_is_written_as_in_the_document(self):
        namespace = QEMU[1:-1]
        error = complaint(CommandLine, f"<q:commandline xmlns:q='{namespace}'><q:arg/></q:commandline>")
        assert error.place == "q:commandline/q:arg"

    @pytest.mark.parametrize(
        ("document", "problem"),
        [
            ("<disk/>", "<target> is missing"),
            ("<disk><target/></disk>", "the attribute 'dev' is missing"),
            ("<guest/>", "<name> is missing"),
            ("<maxMemory/>", "text is missing"),
        ],
    )
    def test_what_is_missing_is_named(self, document, problem):
        cls = {"<d": Disk, "<g": Guest, "<m": MaxMemory}[document[:2]]
        assert complaint(cls, document).problem == problem

    def test_an_unknown_case_of_a_union_lists_the_cases(self):
        document = "<disk><target dev='a'/><address type='pcie'/></disk>"
        error = complaint(Disk, document)
        assert (error.place, error.problem) == ("disk/address/@type", "'pcie' is not one of: pci, usb")
        assert "'type' is missing" in complaint(Disk, document.replace("type='pcie'", "")).problem

    def test_another_root_is_refused(self):
        assert complaint(Guest, "<disk/>").problem == "this is a <disk>, not a <guest>"

    def test_a_long_value_is_cut_in_the_message(self):
        assert len(complaint(IoThread, f"<iothread id='{'x' * 9000}'/>").problem) < 200

    def test_post_init_refuses_with_the_place_of_the_element(self):
        error = complaint(Ranges, "<ranges>\n<range first='1' last='2'/><range first='2' last='1'/></ranges>")
        assert (error.place, error.line, error.problem) == ("ranges/range[2]", 2, "2 is after 1")

    def test_a_value_no_document_can_hold_is_refused_with_its_place(self):
        bad = guest("<devices><disk><target dev='a'/></disk></devices>")
        bad.devices.all[0].target.dev = "a\x01"
        with pytest.raises(DocumentError, match=r"guest/devices/disk/target/@dev: the character U\+0001"):
            render(bad)


class Range(Element, tag="range"):
    first: UInt = attr()
    last: UInt = attr()

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"{self.first} is after {self.last}")


class Ranges(Element, tag="ranges"):
    all: list[Range] = children()


class Odd(Element, tag="odd"):
    quote: str = attr(default="")
    note: str = leaf(default="")
    words: Annotated[tuple[str, ...], Codec(lambda text: tuple(text.split("+")), "+".join, safe=False)] = attr(
        default=()
    )


class TestEscaping:
    def test_markup_and_quotes_are_escaped_as_libvirt_does(self):
        assert render(Odd(quote="<&>'\"", note="<&>'\"")) == dedent("""\
            <odd quote='&lt;&amp;&gt;&apos;&quot;'>
              <note>&lt;&amp;&gt;&apos;&quot;</note>
            </odd>
            """)

    def test_line_breaks_survive_attributes_and_texts(self):
        odd = Odd(quote="a\tb\nc\rd", note="a\tb\nc\r\nd")
        assert parse(Odd, render(odd)) == odd

    def test_values_of_own_codecs_are_escaped(self):
        odd = Odd(words=("a'", "<b>"))
        assert "words='a&apos;+&lt;b&gt;'" in render(odd)
        assert parse(Odd, render(odd)) == odd

    def test_a_str_keeps_its_blanks(self):
        odd = Odd(note="  two  ", quote=" ")
        assert parse(Odd, render(odd)) == odd
        assert parse(Odd, "<odd><note>   </note></odd>").note == "   "


class Always(Element, tag="always"):
    shown: UInt = attr(default=0, always=True)
    hidden: UInt = attr(default=0)
    note: str = leaf(default="n")


def test_defaults_are_written_only_when_asked_for():
    assert render(Always()) == "<always shown='0'/>\n"
    assert render(Always(shown=1, hidden=2, note="")) == "<always shown='1' hidden='2'>\n  <note></note>\n</always>\n"


class Volume(Element, tag="volume"):
    capacity: SizeInBytes = leaf()
    mib: Annotated[int, SizeCodec("MiB", limit=2**30)] = leaf(default=0)


def test_sizes_are_bytes_inside_and_rounded_up_outside():
    volume = parse(Volume, "<volume><capacity unit='K'>3</capacity><mib unit='bytes'>1048577</mib></volume>")
    assert (volume.capacity, volume.mib) == (3072, 2 << 20)
    assert render(volume) == dedent("""\
        <volume>
          <capacity unit='bytes'>3072</capacity>
          <mib unit='MiB'>2</mib>
        </volume>
        """)
    assert guest("<memory unit='bytes'>1</memory>").memory == 1024


class TestRaw:
    METADATA = dedent("""\
        <metadata>
          <app:info xmlns:app="urn:app" app:on="1">
            <app:note>line one
        line two</app:note>
            <plain/>
          </app:info>
        </metadata>""")

    def test_metadata_is_kept_and_indented_where_text_allows(self):
        kept = guest(self.METADATA)
        assert kept.metadata == self.METADATA
        inner = render(kept)
        assert '    <app:info xmlns:app="urn:app" app:on="1">\n' in inner
        assert "      <app:note>line one\nline two</app:note>\n" in inner
        assert parse(Guest, inner) == kept

    def test_namespaces_of_ancestors_go_along_if_used(self):
        kept = parse(Guest, "<guest xmlns:a='urn:a' xmlns:b='urn:b'><name>g</name><metadata><a:x/></metadata></guest>")
        assert kept.metadata == '<metadata xmlns:a="urn:a">\n  <a:x/>\n</metadata>'

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "plain",
            "<metadata>",
            "<other/>",
            "<metadata/><metadata/>",
            "<metadata/></guest><guest>",
            "<!DOCTYPE metadata [<!ENTITY e 'x'>]><metadata>&e;</metadata>",
            "<metadata>&#1;</metadata>",
            "<metadata>\ud800</metadata>",
        ],
    )
    def test_raw_text_that_is_not_the_element_is_refused(self, text):
        with pytest.raises(DocumentError, match="guest/metadata: the text kept for <metadata> is not"):
            render(Guest(name="g", metadata=text))


class TestUnknown:
    def test_a_document_of_declared_parts_has_nothing_unknown(self):
        assert unknown(Guest, FULL) == []
        assert unknown(Guest, f"<guest>{TestRaw.METADATA}</guest>") == []

    def test_every_undeclared_part_is_listed(self):
        document = FULL.replace("dev='sda'", "dev='sda' devv='1'").replace("unit='KiB'>1", "unit='k' x='1'>1")
        document = document.replace("id='2'", "idd='2'").replace("<readonly/>", "<read-only/><source/>")
        places = [error.place for error in unknown(Guest, document)]
        assert places == [
            "guest/memory/@x",
            "guest/iothreads/iothread[2]/@idd",
            "guest/devices/disk[1]/read-only",
            "guest/devices/disk[2]/target/@devv",
        ]


class TestStruct:
    def test_json_holds_the_same_document(self):
        full = parse(Guest, FULL)
        full.metadata = TestRaw.METADATA
        encoded = msgspec.json.encode(full)
        assert msgspec.json.decode(encoded, type=Guest) == full
        assert b'"source":{"kind":"block","dev":"/dev/vg/web"}' in encoded
        assert b'"address":{"type":"pci","slot":31}' in encoded

    def test_json_numbers_have_the_bounds_of_their_type(self):
        with pytest.raises(msgspec.ValidationError, match=r"<= 4294967295"):
            msgspec.json.decode(b'{"id": 4294967296}', type=IoThread)

    def test_a_copy_shares_nothing_that_can_change(self):
        full = parse(Guest, FULL)
        for twin in (full.copy(), copy.deepcopy(full)):
            assert twin == full
            twin.devices.all[0].target.dev = "changed"
            twin.args.append("more")
            assert render(full) == FULL

    def test_replace_changes_the_copy_only(self):
        first = IoThread(id=1)
        assert (first.replace(id=2), first) == (IoThread(id=2), IoThread(id=1))

    def test_a_required_field_must_be_given(self):
        with pytest.raises(TypeError, match="dev"):
            Target()


class TestDeclarations:
    def test_the_fields_of_a_class_are_listed_in_writing_order(self):
        names = [(each.name, each.xml, each.kind, each.required) for each in declared(Disk)]
        assert names == [
            ("type", "type", Kind.ATTR, False),
            ("source", "source", Kind.VARIANT, False),
            ("target", "target", Kind.CHILD, True),
            ("read_only", "readonly", Kind.FLAG, False),
            ("serial", "serial", Kind.LEAF, False),
            ("backing", "backingStore", Kind.CHILD, False),
            ("address", "address", Kind.CHILD, False),
        ]

    def test_the_classes_of_a_document_are_listed_once(self):
        classes = reachable(Guest)
        assert len(classes) == len(set(classes)) == 14

    def test_a_field_without_a_place_is_refused(self):
        with pytest.raises(TypeError, match=r"Lost\.name: say where it stands"):

            class Lost(Element, tag="lost"):
                name: str = "x"

    def test_declarations_that_make_no_sense_are_refused(self):
        class Both(Element, tag="both"):
            value: str = text()
            inner: str = leaf()

        class Mixed(Element, tag="mixed"):
            inner: str = child()

        class One(Element, tag="one"):
            inner: IoThread = children()

        class Twins(Element, tag="twins"):
            inner: FileSource | BlockSource = child()

        class Late(Element, tag="late"):
            inner: FileSource = variant("type", {"file": FileSource})
            type: str = attr()

        class Bare(Element, tag="bare"):
            inner: Device = child()

        class Unknown(Element, tag="unknown"):
            inner: bytes = attr()

        class Foreign(Element, tag="foreign"):
            inner: str = leaf("{urn:x}inner")

        complaints = {
            Both: "a text or with children, not both",
            Mixed: "does not go with its type",
            One: "must be a list",
            Twins: "need when=",
            Late: "declare the attribute 'type' before it",
            Bare: "its class has no tag",
            Unknown: "has no codec",
            Foreign: "only elements that have a class",
        }
        for cls, complaint in complaints.items():
            with pytest.raises(TypeError, match=complaint):
                declared(cls)
