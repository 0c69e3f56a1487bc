"""What clients with few rights reach over the wire: no more than these."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from vmherd.api.aio import connect
from vmherd.daemon.config import Access, Grant
from wire import REMOTE, RawClient, Service, serving

GUEST = "<domain type='test'>{}<memory>1024</memory><os><type>hvm</type></os></domain>"
ME = str(os.geteuid())
TEST = ("test", "6695eb01-f6a4-8304-79aa-97f2502e193f", 1)


@contextmanager
def granted(path: Path, *grants: Grant) -> Iterator[tuple[Service, RawClient]]:
    """A client to whom nothing but ``grants`` applies."""
    with serving(path, access=Access(default="none", grants=grants)) as service, RawClient(path) as client:
        yield service, client


def test_nobody_becomes_the_daemon_by_way_of_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with granted(path, Grant(role="viewer", users=(ME,))) as (_, client):
        for uri in (
            f"remote:///default?socket={path}",
            f"test+unix:///default?socket={path}",
            "test://localhost/default",
        ):
            with pytest.raises(AssertionError, match="is not on this host"):
                client.open(uri)
        client.open()
        with pytest.raises(AssertionError, match="domain_destroy needs domain:stop"):
            client.call("domain_destroy", TEST)


def test_a_grant_for_some_guests_cannot_be_stretched(tmp_path: Path) -> None:
    mine = Grant(role="admin", users=(ME,), domains=("mine-*",))
    with granted(tmp_path / "sock", mine) as (_, client):
        client.open()
        (ref,) = client.call("domain_define_xml", GUEST.format("<name>mine-1</name>"))
        refused = [
            # Another's guest, under a name of ours.
            ("domain_destroy", ("mine-1", TEST[1], 1)),
            ("domain_get_xml_desc", ("mine-1", TEST[1], 1), 0),
            ("domain_define_xml", GUEST.format(f"<name>mine-2</name><uuid>{TEST[1]}</uuid>")),
            ("domain_lookup_by_id", 1),
            ("domain_lookup_by_name", "test"),
            ("domain_define_xml", GUEST.format("<name>theirs</name>")),
            ("domain_create_xml", GUEST.format("<name>theirs</name>"), 0),
            ("domain_rename", ref, "theirs", 0),
            ("domain_restore", "/tmp/any"),
            ("connect_get_domain_capabilities", None, None, None, None, 0),
        ]
        for name, *arguments in refused:
            with pytest.raises(AssertionError, match=r"needs|exists|already|no domain"):
                client.call(name, *arguments)
        assert client.call("domain_create", ref) == ()
        assert [each.name for each in client.call("connect_list_all_domains", 1, 0)[0]] == ["mine-1"]
        assert client.call("connect_num_of_domains") == (1,)


def test_lists_show_what_may_be_known_only(tmp_path: Path) -> None:
    access = Access(
        default="none",
        roles={
            "blind": ("connect:*",),
            "looking": ("connect:*", "domain:getattr"),
        },
        grants=(Grant(role="blind", users=(ME,)),),
    )
    with serving(tmp_path / "sock", access=access), RawClient(tmp_path / "sock") as client:
        client.open()
        assert client.call("connect_list_all_domains", 1, 0)[1] == 0
        assert client.call("connect_get_all_domain_stats", [], 0, 0)[0] == []
        with pytest.raises(AssertionError, match="connect_list_all_networks needs network:getattr"):
            client.call("connect_list_all_networks", 1, 0)
    access = msgspec.structs.replace(access, grants=(Grant(role="looking", users=(ME,)),))
    with serving(tmp_path / "other", access=access), RawClient(tmp_path / "other") as client:
        client.open()
        assert client.call("connect_list_all_domains", 1, 0)[1] == 1
        assert client.call("connect_get_all_domain_stats", [], 0, 0)[0] == []


async def _define_secret(uri: str) -> None:
    async with await connect(uri) as host:
        await host.secrets.define("<secret><usage type='tls'><name>key</name></usage></secret>")


def test_a_viewer_hears_of_the_hosts_things_and_changes_none(tmp_path: Path) -> None:
    uri, path, viewer = f"qemu:///embed?root={tmp_path / 'root'}", tmp_path / "sock", Grant(role="viewer", users=(ME,))
    uuid = "11111111-2222-3333-4444-555555555555"
    with serving(path, uri, access=Access(default="none", grants=(viewer,))), RawClient(path) as client:
        client.open(uri)
        assert client.call("connect_list_all_storage_pools", 1, 0)[0] == []
        refused = [
            ("storage_pool_define_xml", "storage_pool:", "<pool/>", 0),
            ("storage_vol_download", "storage_vol:data_read", ("p", "v", "k"), 0, 0, 0),
            ("connect_find_storage_pool_sources", "connect:detect_storage_pools", "dir", None, 0),
            ("network_create_xml", "network:", "<network/>"),
            ("nwfilter_undefine", "nwfilter:delete", ("f", uuid)),
            ("interface_change_begin", "connect:interface_transaction", 0),
            ("node_device_dettach", "node_device:detach", "pci_0000_00_01_0"),
            ("secret_get_value", "secret:read_secure", (uuid, 0, ""), 0),
        ]
        for name, permission, *arguments in refused:
            with pytest.raises(AssertionError, match=f"{name} needs {permission}"):
                client.call(name, *arguments)
        with pytest.raises(AssertionError, match="unsupported secret event ID 2"):
            client.call("connect_secret_event_register_any", 2, None)
        (number,) = client.call("connect_secret_event_register_any", 0, None)
        asyncio.run(_define_secret(uri))
        told = client.receive()
        assert REMOTE.procedures[told.header.procedure].name == "secret_event_lifecycle"
        client.call("connect_secret_event_deregister_any", number)
        with pytest.raises(AssertionError, match=f"secret event callback {number} not registered"):
            client.call("connect_secret_event_deregister_any", number)


def test_who_has_some_guests_has_no_pools(tmp_path: Path) -> None:
    uri, mine = f"qemu:///embed?root={tmp_path / 'root'}", Grant(role="admin", users=(ME,), domains=("mine-*",))
    access = Access(default="none", grants=(mine,))
    with serving(tmp_path / "sock", uri, access=access), RawClient(tmp_path / "sock") as client:
        client.open(uri)
        for name, *arguments in (
            ("connect_list_all_storage_pools", 1, 0),
            ("storage_pool_lookup_by_name", "mine-1"),
            ("connect_storage_pool_event_register_any", 0, None),
            ("secret_get_value", ("11111111-2222-3333-4444-555555555555", 0, "mine-1"), 0),
        ):
            with pytest.raises(AssertionError, match=f"{name} needs"):
                client.call(name, *arguments)
