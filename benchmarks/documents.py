"""Domain documents: how many a second on one core, for a typical one of some sixty elements."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from benchmarks.figure import Figure, rates
from vmherd.conf.domain import complete, parse_domain, render

DOCUMENT = Path(__file__).parents[1] / "tests" / "data" / "domain" / "typical.xml"


def measure() -> list[Figure]:
    text = DOCUMENT.read_text()

    def complete_too() -> None:
        domain = parse_domain(text)
        complete(domain, arch="x86_64")
        render(domain)

    lxml_parse, lxml_both, parse, both, all_three = rates(
        lambda: etree.fromstring(text),
        lambda: etree.tostring(etree.fromstring(text)),
        lambda: parse_domain(text),
        lambda: render(parse_domain(text)),
        complete_too,
    )
    return [
        _figure("parse", parse, lxml_parse, "lxml, parse", 5000),
        _figure("parse and format", both, lxml_both, "lxml, parse and write", 3000),
        _figure("parse, complete and format", all_three, lxml_both, "lxml, parse and write"),
    ]


def _figure(what: str, rate: float, bare: float, against: str, target: float | None = None) -> Figure:
    return Figure(
        what=f"XML: {what}",
        value=rate,
        unit="/s",
        ratio=bare / rate,
        against=f"{against}: {bare:.0f}/s",
        target=f">= {target:g} /s" if target else "",
        reached=rate >= target if target else None,
    )
