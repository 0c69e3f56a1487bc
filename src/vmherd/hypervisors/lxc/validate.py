"""What makes no container: all complaints come at once.

Source: virDomainDefPostParse, virDomainIdmapDefParseXML and lxcDomainDefNamespaceParse of libvirt
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vmherd.conf.domain import Domain, DomainType, Problem
from vmherd.conf.domain import problems as generic_problems
from vmherd.conf.domain.namespaces import LxcShareSource
from vmherd.conf.domain.problem import refuse


def check(domain: Domain, archs: Collection[str]) -> None:
    """Raise DocumentError for what makes no container; ``domain`` is completed, ``archs`` run on this host."""
    refuse(
        [*generic_problems(domain), *_kind(domain, archs), *_init(domain), *_ids(domain), *_shared(domain)], "domain"
    )


def _kind(domain: Domain, archs: Collection[str]) -> Iterator[Problem]:
    kind = domain.os.type
    if domain.type is not DomainType.LXC:
        yield Problem("domain/@type", f"a guest of type {str(domain.type)!r} is no container", "use type='lxc'")
    if kind.name != "exe":
        yield Problem("domain/os/type", f"a container runs programs, not {kind.name!r}", "use <type>exe</type>")
    if kind.arch is not None and kind.arch not in archs:
        text = f"this host runs no containers of architecture {kind.arch}"
        yield Problem("domain/os/type/@arch", text, f"use one of {', '.join(sorted(archs))}")


def _init(domain: Domain) -> Iterator[Problem]:
    if domain.os.type.name == "exe" and not domain.os.init:
        yield Problem("domain/os/init", "the program to run is missing", "add <init>/sbin/init</init>")


def _ids(domain: Domain) -> Iterator[Problem]:
    """Both kinds of ids are mapped, and those of root among them."""
    if domain.idmap is None:
        return
    for tag, ranges in (("uid", domain.idmap.uids), ("gid", domain.idmap.gids)):
        if not ranges:
            hint = f"add <{tag} start='0' target='' count=''/>"
            yield Problem(f"domain/idmap/{tag}", "user and group ids are mapped together", hint)
        elif all(each.start for each in ranges):
            yield Problem(f"domain/idmap/{tag}/@start", "root of the container is not mapped", "let one start at 0")


def _shared(domain: Domain) -> Iterator[Problem]:
    namespace = domain.lxc_namespace
    if namespace is None:
        return
    for tag, share in (("shareipc", namespace.shareipc), ("shareuts", namespace.shareuts)):
        if share is not None and share.type is LxcShareSource.NETNS:
            place = f"domain/lxc:namespace/lxc:{tag}/@type"
            yield Problem(place, "'netns' names a network only", "use type='name' or type='pid'")
