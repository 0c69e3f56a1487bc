"""Whatever comes in, a document or a DocumentError comes out; and what goes out comes back the same."""

from __future__ import annotations

import inspect
import re
import sys
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from vmherd.errors import DocumentError, XMLSyntaxError
from vmherd.util.xmlmodel import (
    CpuSet,
    Element,
    Hex2,
    Limits,
    Mac,
    Size,
    Switch,
    UInt,
    ULong,
    Uuid,
    attr,
    child,
    children,
    flag,
    leaf,
    parse,
    raw,
    render,
    text,
    unknown,
    variant,
)


class Color(StrEnum):
    RED = "red"
    BLUE = "blue & green"


class Pci(Element, tag="address", when={"type": "pci"}):
    slot: Hex2 = attr()


class Usb(Element, tag="address", when={"type": "usb"}):
    port: str = attr()


class Left(Element, tag="left"):
    file: str = attr()


class Right(Element, tag="right"):
    dev: str = attr()


class Note(Element, tag="note"):
    lang: str | None = attr()
    value: str = text()


class Node(Element, tag="node"):
    side: Color | None = attr()
    on: Switch | None = attr()
    level: UInt = attr(default=3)
    cpus: CpuSet | None = attr()
    mac: Mac | None = attr()
    uuid: Uuid | None = leaf()
    count: ULong | None = leaf()
    size: Size | None = leaf()
    name: str = leaf()
    secret: bool = flag()
    hand: Left | Right | None = variant("side", {Color.RED: Left, Color.BLUE: Right})
    metadata: str | None = raw()
    words: list[str] = leaf("word", within="words")
    notes: list[Note] = children()
    mixed: list[Pci | Usb | Left] = children(within="mixed")
    inner: Node | None = child("node")


allowed = st.text(
    st.characters(codec="utf-8", categories=None, exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\r\n")
)
words = allowed.filter(lambda value: not re.search("[\ufffe\uffff]", value))
maybe = st.none
pci = st.builds(Pci, slot=st.integers(0, 2**40))
usb = st.builds(Usb, port=words)
left = st.builds(Left, file=words)
right = st.builds(Right, dev=words)
hands = st.sampled_from([None, Color.RED, Color.BLUE])


@st.composite
def nodes(draw: st.DrawFn, depth: int = 2) -> Node:
    side = draw(hands)
    return Node(
        side=side,
        on=draw(maybe() | st.booleans()),
        level=draw(st.integers(0, 2**32 - 1)),
        cpus=draw(maybe() | st.sets(st.integers(0, 300), min_size=1).map(lambda cpus: tuple(sorted(cpus)))),
        mac=draw(maybe() | st.from_regex("([0-9a-f]{2}:){5}[0-9a-f]{2}", fullmatch=True)),
        uuid=draw(maybe() | st.uuids().map(str)),
        count=draw(maybe() | st.integers(0, 2**64 - 1)),
        size=draw(maybe() | st.integers(0, 2**53 - 1).map(lambda kib: kib * 1024)),
        name=draw(words),
        secret=draw(st.booleans()),
        hand=draw(maybe() | {None: maybe(), Color.RED: left, Color.BLUE: right}[side]),
        metadata=draw(maybe() | st.builds(kept, fragments)),
        words=draw(st.lists(words, max_size=3)),
        notes=draw(st.lists(st.builds(Note, lang=maybe() | words, value=words), max_size=2)),
        mixed=draw(st.lists(pci | usb | left, max_size=3)),
        inner=draw(nodes(depth - 1)) if depth and draw(st.booleans()) else None,
    )


def escaped(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace("\r", "&#13;").replace("]]>", "]]&gt;")


fragments = st.recursive(
    words.map(escaped),
    lambda inner: st.lists(inner, max_size=3).map(
        lambda parts: f"<x:a xmlns:x='urn:x'>{''.join(parts)}</x:a><b c='1'>{''.join(parts)}</b>"
    ),
    max_leaves=5,
)


def kept(inner: str) -> str | None:
    return parse(Node, f"<node><name/><metadata>{inner}</metadata></node>").metadata


@given(nodes())
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_back(node):
    assert parse(Node, render(node)) == node
    assert render(parse(Node, render(node))) == render(node)
    assert unknown(Node, render(node)) == []


@given(nodes(), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_the_output_is_well_formed_at_any_indent(node, depth):
    assert etree.fromstring(render(node, indent=2 * depth).encode()).tag == "node"


@given(st.binary() | st.text(st.characters(exclude_categories=[])))
def test_garbage_is_a_document_error(data):
    with pytest.raises(DocumentError):
        parse(Node, data)


PIECES = [
    "<node>", "</node>", "<node", ">", "/>", " side='red'", " side='", "'", " level='-1'", "<name>",
    "</name>", "<name/>", "<left file='f'/>", "<mixed>", "</mixed>", "<address type='pci' slot='1'/>",
    "<address/>", "<metadata>", "</metadata>", "<!--", "-->", "<![CDATA[", "]]>", "<?xml version='1.0'?>",
    "<?xml version='1.0' encoding='utf-16'?>", "&amp;", "&x;", "&#0;", "&#xd800;", "\x00", "\ud800",
    "\ufeff", "<!DOCTYPE node>", "<!DOCTYPE node [", "<!ENTITY x '&y;'>", "xmlns='u'", "x:", "<x:left/>",
    "]>", "<count>", "</count>", "99999999999999999999999", "\uff11", " ", "\n", "<size unit='k'>",
    "</size>",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@settings(max_examples=500, deadline=None)
def test_broken_markup_is_a_document_or_a_document_error(data):
    for given_as in (data, data.encode(errors="surrogatepass")):
        try:
            assert isinstance(parse(Node, given_as), Node)
        except DocumentError:
            continue


@given(nodes(), st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_document_is_a_document_or_a_document_error(node, data):
    document = bytearray(render(node).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(parse(Node, bytes(document)), Node)
    except DocumentError:
        return


class Name(Element, tag="a"):
    value: str = text()


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "codec"),
        [("utf-8", "utf-8"), ("UTF-8", "utf-8-sig"), ("iso-8859-1", "latin-1"), ("windows-1252", "cp1252")],
    )
    def test_bytes_are_read_as_they_declare(self, encoding, codec):
        document = f"<?xml version='1.0' encoding='{encoding}'?><a>é</a>"
        assert parse(Name, document.encode(codec)).value == "é"

    def test_bytes_without_declaration_are_utf8_or_utf16_with_a_mark(self):
        for codec in ("utf-8", "utf-8-sig", "utf-16"):
            assert parse(Name, "<a>é€</a>".encode(codec)).value == "é€"
        with pytest.raises(XMLSyntaxError):
            parse(Name, "<a>é</a>".encode("latin-1"))

    def test_a_str_is_text_already_whatever_it_declares(self):
        assert parse(Name, "\ufeff<?xml version='1.0' encoding='utf-16'?><a>é€</a>").value == "é€"

    @pytest.mark.parametrize("encoding", ["zip", "rot13", "klingon", "utf-7", "idna", "ebcdic-cp-us"])
    def test_other_encodings_are_refused(self, encoding):
        with pytest.raises(XMLSyntaxError, match="encoding is not supported"):
            parse(Name, f"<?xml version='1.0' encoding='{encoding}'?><a/>".encode())

    @pytest.mark.parametrize("codec", ["utf-16-le", "utf-32", "cp037"])
    def test_bytes_in_an_undeclared_encoding_are_refused(self, codec):
        with pytest.raises(XMLSyntaxError):
            parse(Name, "<a>x</a>".encode(codec))

    def test_half_a_character_is_refused(self):
        with pytest.raises(XMLSyntaxError):
            parse(Name, b"\xff\xfe<\0a")


class TestEntities:
    BOMB = "<!DOCTYPE a [<!ENTITY b0 'ha'>{}]><a{}>{}</a>"
    LEVELS = "".join(f"<!ENTITY b{n} '{f'&b{n - 1};' * 10}'>" for n in range(1, 30))

    @pytest.mark.parametrize(("attribute", "inner"), [("", "&b29;"), (" x='&b29;'", ""), ("", "")])
    def test_a_billion_laughs_are_refused(self, attribute, inner):
        with pytest.raises(XMLSyntaxError):
            parse(Name, self.BOMB.format(self.LEVELS, attribute, inner))

    def test_no_file_is_read_for_an_external_entity(self, tmp_path):
        (tmp_path / "secret").write_text("secret")
        document = f"<!DOCTYPE a [<!ENTITY e SYSTEM 'file://{tmp_path}/secret'>]><a>&e;</a>"
        with pytest.raises(XMLSyntaxError, match="DOCTYPE") as caught:
            parse(Name, document)
        assert "secret" not in caught.value.problem

    def test_an_external_document_type_is_refused_unread(self, tmp_path):
        (tmp_path / "a.dtd").write_text("<!ENTITY e 'x'>")
        with pytest.raises(XMLSyntaxError):
            parse(Name, f"<!DOCTYPE a SYSTEM '{tmp_path}/a.dtd'><a>&e;</a>")

    def test_the_word_doctype_may_stand_in_text(self):
        assert parse(Name, "<a><![CDATA[<!DOCTYPE b>]]></a>").value == "<!DOCTYPE b>"


class TestLimits:
    def test_a_document_of_the_allowed_size_is_read_and_no_larger_one(self):
        document = "<a>é</a>"
        assert parse(Name, document, limits=Limits(size=9)).value == "é"
        with pytest.raises(XMLSyntaxError, match="9 bytes, more than 8"):
            parse(Name, document, limits=Limits(size=8))

    def test_eight_mebibytes_are_the_default(self):
        assert len(parse(Name, f"<a>{'x' * 8_000_000}</a>").value) == 8_000_000
        with pytest.raises(XMLSyntaxError, match="more than 8388608"):
            parse(Name, f"<a>{'x' * 9_000_000}</a>")

    def test_elements_are_counted(self):
        assert parse(Name, "<a>" + "<b></b>" * 99 + "</a>", limits=Limits(elements=100)).value == ""
        with pytest.raises(XMLSyntaxError, match="more than 100 elements"):
            parse(Name, "<a>" + "<b></b>" * 100 + "</a>", limits=Limits(elements=100))

    def test_attributes_of_one_element_are_counted(self):
        def document(count: int) -> str:
            return "<a><b " + " ".join(f"a{number}=''" for number in range(count)) + "/></a>"

        assert parse(Name, document(1000)).value == ""
        with pytest.raises(XMLSyntaxError, match="<b> has more than 1000 attributes"):
            parse(Name, document(1001))

    def test_a_hundred_thousand_attributes_are_refused(self):
        attributes = " ".join(f"a{number}=''" for number in range(100_000))
        with pytest.raises(XMLSyntaxError):
            parse(Name, f"<a {attributes}/>")

    @pytest.mark.parametrize("tag", ["node", "inner"])
    def test_deep_documents_are_refused(self, tag):
        with pytest.raises(XMLSyntaxError, match="depth"):
            parse(Node, f"<{tag}>" * 100_000 + f"</{tag}>" * 100_000)

    def test_two_hundred_nested_elements_are_read(self):
        node = Node(name="deepest")
        for _ in range(200):
            node = Node(name="", inner=node)
        assert parse(Node, render(node)) == node
        assert node.copy() == node

    def test_elements_nested_too_deep_to_write_are_refused(self):
        node = Node(name="deepest")
        for _ in range(5000):
            node = Node(name="", inner=node)
        with pytest.raises(DocumentError, match="nested too deeply"):
            render(node)

    def test_a_caller_deep_in_calls_gets_a_document_error(self):
        document = "<node><name/>" * 250 + "</node>" * 250

        def descend(levels: int) -> Node:
            return descend(levels - 1) if levels else parse(Node, document)

        with pytest.raises(DocumentError, match="nested too deeply"):
            descend(sys.getrecursionlimit() - len(inspect.stack()) - 100)
