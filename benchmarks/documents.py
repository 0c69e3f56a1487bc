"""Domain documents: how many a second on one core, for a typical one of some sixty elements."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from benchmarks.figure import Figure, at_least, rate
from vmherd.conf.domain import complete, parse_domain, render

DOCUMENT = Path(__file__).parents[1] / "tests" / "data" / "domain" / "typical.xml"


def measure() -> list[Figure]:
    text = DOCUMENT.read_text()

    def lxml_alone() -> None:
        etree.tostring(etree.fromstring(text))

    def through_everything() -> None:
        domain = parse_domain(text)
        complete(domain, arch="x86_64")
        render(domain)

    bare = rate(lxml_alone)
    both = rate(lambda: render(parse_domain(text)))
    compared = f"lxml alone, parse and write: {bare:.0f}/s, {bare / both:.1f} times as many"
    return [
        at_least("XML: parse", rate(lambda: parse_domain(text)), "/s", 5000),
        at_least("XML: parse and format", both, "/s", 3000, compared),
        Figure(what="XML: parse, complete and format", value=rate(through_everything), unit="/s"),
    ]
