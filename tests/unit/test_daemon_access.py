"""Who may call what."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from vmherd.daemon.access import Holder, Verdict, known_names
from vmherd.daemon.config import Access, Grant
from vmherd.daemon.policy import Policy, Who
from vmherd.errors import Denied, InvalidArgument, ReadOnly
from vmherd.rpc.protocol import program

NAMES = known_names()
RULES = {
    name: NAMES.rule(procedure)
    for each in ("remote", "qemu", "lxc")
    for name, procedure in program(each).by_name.items()
    if not procedure.event
}
SOMEBODY = Who(uid=4711, gids=frozenset({100}))

#: What libvirt 9.0 refuses on a read-only connection: its public functions of these names say so.
REFUSED = set((Path(__file__).parents[1] / "data/daemon/readonly-refused.txt").read_text().split())


def holder(role: str, *, readonly: bool = False, **grant: tuple[str, ...]) -> Holder:
    access = Access(default="none", grants=(Grant(role=role, users=("4711",), **grant),))
    return Policy(NAMES, access, own=0).holder(SOMEBODY, readonly=readonly)


def args(**values: int) -> SimpleNamespace:
    return SimpleNamespace(**{"flags": 0, "source": 0} | values)


def allowed(holder: Holder) -> set[str]:
    return {name for name, rule in RULES.items() if holder.judge(rule, args()) is Verdict.ALLOWED}


def test_a_read_only_client_gets_what_libvirt_gives_it() -> None:
    # What identity a client has is its own business in libvirt; here it is not.
    assert set(RULES) - allowed(holder("admin", readonly=True)) == REFUSED | {"connect_set_identity"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("domain_get_xml_desc", {"flags": 1}),  # with passwords
        ("domain_get_xml_desc", {"flags": 8}),
        ("domain_snapshot_get_xml_desc", {"flags": 1}),
        ("domain_checkpoint_get_xml_desc", {"flags": 1}),
        ("domain_managed_save_get_xml_desc", {"flags": 1}),
        ("domain_get_vcpus_flags", {"flags": 8}),  # of the guest agent
        ("domain_interface_addresses", {"source": 1}),
    ],
)
def test_a_read_only_client_gets_no_secrets_and_nothing_from_the_guests_inside(
    name: str, values: dict[str, int]
) -> None:
    client = holder("admin", readonly=True)
    assert client.judge(RULES[name], args()) is Verdict.ALLOWED
    with pytest.raises(ReadOnly, match=f"read only access prevents {name}"):
        client.require(RULES[name], args(**values))
    assert holder("admin").judge(RULES[name], args(**values)) is Verdict.ALLOWED
    assert holder("viewer").judge(RULES[name], args(**values)) is Verdict.DENIED


def test_a_viewer_changes_nothing_and_an_operator_cannot_become_root() -> None:
    changing = allowed(holder("viewer")) & REFUSED
    assert changing == {"domain_get_launch_security_info", "node_get_sev_info", "node_device_get_autostart"}
    operator = allowed(holder("operator"))
    assert {"domain_create", "domain_shutdown", "domain_destroy", "domain_open_console"} <= operator
    risky = {
        name
        for name in operator
        for word in ("xml", "attach", "save", "dump", "snapshot", "migrate", "_set_", "block", "agent", "password")
        if word in name and name in REFUSED
    }
    assert risky == {"domain_set_time"}


def test_a_call_that_also_changes_the_definition_needs_the_right_to_save_it() -> None:
    rule = RULES["domain_attach_device_flags"]
    access = Access(default="live", roles={"live": ("viewer", "domain:write")})
    client = Policy(NAMES, access, own=0).holder(SOMEBODY)
    assert client.judge(rule, args(flags=1)) is Verdict.ALLOWED
    assert client.judge(rule, args(flags=3)) is Verdict.DENIED
    with pytest.raises(Denied, match="domain_attach_device_flags needs domain:save"):
        client.require(rule, args(flags=0))


def test_a_grant_for_some_domains_is_good_for_no_other() -> None:
    uuid = "5f4b1f0a-9d1c-4f5e-8b1b-0c7b4f5e6a7d"
    client = holder("operator", domains=("test-*", uuid))
    start = RULES["domain_create"]
    assert client.judge(start, args()) is Verdict.DEPENDS
    client.require_for(start, args(), "test-1", "any")
    client.require_for(start, args(), "web", uuid)
    with pytest.raises(Denied, match="needs domain:start"):
        client.require_for(start, args(), "web", "any")
    assert client.judge(RULES["domain_define_xml"], args()) is Verdict.DENIED
    assert client.judge(RULES["connect_open"], args()) is Verdict.ALLOWED
    assert client.judge(RULES["connect_list_all_domains"], args()) is Verdict.ALLOWED
    assert client.sees("test-1", "any")
    assert not client.sees("web", "any")


def test_grants_add_up_and_reach_people_by_user_group_and_certificate() -> None:
    access = Access(
        default="none",
        roles={"starter": ("viewer", "domain:start")},
        grants=(
            Grant(role="viewer", groups=("100",)),
            Grant(role="starter", names=("CN=ci,*",), domains=("ci-*",)),
            Grant(role="admin", users=("root",)),
        ),
    )
    policy = Policy(NAMES, access, own=-1)
    cases = [
        (SOMEBODY, {"domain_get_info": Verdict.ALLOWED, "domain_create": Verdict.DENIED}),
        (Who(certificate="CN=ci,O=Example"), {"domain_create": Verdict.DEPENDS, "domain_destroy": Verdict.DENIED}),
        (Who(uid=0), {"domain_destroy": Verdict.ALLOWED}),
        (Who(uid=1), {"connect_open": Verdict.DENIED, "auth_list": Verdict.ALLOWED}),
        (Who(role="operator"), {"domain_create": Verdict.ALLOWED, "domain_undefine": Verdict.DENIED}),
    ]
    for who, expected in cases:
        client = policy.holder(who)
        assert {name: client.judge(RULES[name], args()) for name in expected} == expected, who


def test_who_runs_the_daemon_can_do_everything_and_by_default_so_can_who_can_open_the_socket() -> None:
    locked = Policy(NAMES, Access(default="none"), own=4711)
    assert allowed(locked.holder(SOMEBODY)) == set(RULES)
    assert allowed(Policy(NAMES, Access(), own=0).holder(SOMEBODY)) == set(RULES)


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (Access(default="king"), "access.default: no role 'king'"),
        (Access(roles={"a": ("domain:fly",)}), "access.roles.a: no permission or role 'domain:fly'"),
        (Access(roles={"a": ("b",), "b": ("a",)}), "access.roles.a: contains itself"),
        (Access(grants=(Grant(role="x"),)), r"access.grants\[0\].role: no role 'x'"),
        (
            Access(grants=(Grant(role="viewer", users=("no-such-user",)),)),
            r"access.grants\[0\].users: nobody here is called .no-such-user",
        ),
    ],
)
def test_a_grant_of_nothing_known_is_refused(access: Access, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Policy(NAMES, access)
