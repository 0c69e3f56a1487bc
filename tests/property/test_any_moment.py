"""Whatever stands in a snapshot, checkpoint or backup, it is accepted or refused; what is accepted is stable."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutate

from vmherd.conf import backup, checkpoint, snapshot
from vmherd.conf.domain import Domain, complete, parse_domain
from vmherd.conf.moments import Origin
from vmherd.errors import DocumentError

_DATA = Path(__file__).parents[1] / "data" / "moments"
_TEXTS = {
    name: [path.read_text() for path in sorted(_DATA.glob(f"{name}*.xml"))]
    for name in ("snapshot", "checkpoint", "backup")
}
_GUEST = """
<domain type='test'><name>web</name><memory>1</memory><os><type>hvm</type></os><devices>
<disk><source file='/images/root.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='network'><source protocol='nbd'><host name='h'/></source><target dev='vdb' bus='virtio'/></disk>
<disk device='cdrom'><target dev='sda' bus='sata'/></disk>
</devices></domain>
"""

#: How a document was changed; most changes make one that is refused.
SEEDS = st.integers(min_value=0, max_value=2**32)
ORIGINS = st.sampled_from(list(Origin))


def changed(name: str, seed: int) -> str:
    source = random.Random(seed)
    return mutate(source.choice(_TEXTS[name]), source, most=3)


def guest() -> Domain:
    domain = parse_domain(_GUEST)
    complete(domain, arch="x86_64")
    return domain


@given(seed=SEEDS, origin=ORIGINS, uniform=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_snapshot_is_refused_or_stable(seed: int, origin: Origin, uniform: bool) -> None:
    try:
        found = snapshot.parse_snapshot(changed("snapshot", seed), origin)
        found.domain = found.inactive_domain = None  # tested elsewhere
        snapshot.complete(found)
        snapshot.check(found, origin)
    except DocumentError:
        return
    once = snapshot.render(found, internal=True)
    again = snapshot.parse_snapshot(once, origin)
    snapshot.complete(again)
    assert snapshot.render(again, internal=True) == once
    with suppress(DocumentError):
        snapshot.align(found, guest(), snapshot.Location.EXTERNAL, uniform=uniform)


@given(seed=SEEDS, origin=ORIGINS)
@settings(max_examples=150, deadline=None)
def test_any_checkpoint_is_refused_or_stable(seed: int, origin: Origin) -> None:
    try:
        found = checkpoint.parse_checkpoint(changed("checkpoint", seed), origin)
        checkpoint.complete(found, finish=lambda _: None)
        checkpoint.check(found, origin)
    except DocumentError:
        return
    once = checkpoint.render(found, secure=True)
    assert checkpoint.render(checkpoint.parse_checkpoint(once, origin), secure=True) == once
    with suppress(DocumentError):
        checkpoint.align(found, guest())


@given(seed=SEEDS, origin=ORIGINS)
@settings(max_examples=150, deadline=None)
def test_any_backup_is_refused_or_stable(seed: int, origin: Origin) -> None:
    try:
        found = backup.parse_backup(changed("backup", seed), origin)
        backup.check(found, origin)
    except DocumentError:
        return
    once = backup.render(found, internal=True)
    assert backup.render(backup.parse_backup(once, Origin.FILE), internal=True) == once
    with suppress(DocumentError):
        backup.align(found, guest(), suffix="1")
