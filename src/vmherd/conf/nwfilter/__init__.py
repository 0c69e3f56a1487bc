"""Network filters, and what they are bound to.

filter = parse_filter(text)    every value in its canonical text: '10.1.2.3', '24', '0x10', 'arp', '$IP[@1]'
binding = parse_binding(text)  a filter on one interface of a guest
render(filter)                 text again
"""

from vmherd.conf.nwfilter.binding import Binding, parse_binding
from vmherd.conf.nwfilter.filter import Filter, Rule, parse_filter
from vmherd.conf.nwfilter.reference import FilterRef
from vmherd.util.xmlmodel import render

__all__ = ["Binding", "Filter", "FilterRef", "Rule", "parse_binding", "parse_filter", "render"]
