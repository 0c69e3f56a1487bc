"""The command that is the daemon, and what sets it up."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import replace

from vmherd.cli.settings import Settings, uri_option

#: Seconds without need after which a daemon leaves that a command has started.
_ON_DEMAND = 30


@click.command("daemon")
@click.option(
    "--system/--session", default=None, help="Serve the whole system, or this user alone.  [default: by user]"
)
@click.option("--config", "path", metavar="FILE", type=click.Path(path_type=Path), help="Its settings.")
@click.option("--idle-exit", type=click.IntRange(min=0), metavar="SECONDS", help="Leave when not needed for so long.")
@click.option("--print-config", is_flag=True, help="Print every setting, with what it means, and leave.")
@click.option("--install", is_flag=True, help="Have systemd, or FreeBSD's rc, start it, and leave.")
@click.option("--on-demand", is_flag=True, hidden=True)
@uri_option
@click.pass_obj
def daemon_command(
    settings: Settings,
    system: bool | None,
    path: Path | None,
    idle_exit: int | None,
    print_config: bool,
    install: bool,
    on_demand: bool,
) -> None:
    """Serve guests to clients of vmherd and of libvirt.

    The sockets are in /run/vmherd for root and in $XDG_RUNTIME_DIR/vmherd for everyone else: libvirt-sock,
    libvirt-sock-ro to look only, libvirt-admin-sock to manage the daemon.  After SIGHUP it reads its settings anew;
    SIGTERM ends it, and guests run on.

    virsh -c 'qemu+unix:///system?socket=/run/vmherd/libvirt-sock' list
    """
    from vmherd.daemon import config, places

    if print_config:
        click.echo(config.documented_defaults(), nl=False)
        return
    place = places.own_place() if system is None else places.system_place() if system else places.session_place()
    if install:
        _install(system=place.system)
        return
    told = {"idle_exit": idle_exit, "uri": settings.uri or None}

    def read() -> config.Config:
        found = config.load(path or config.default_path(system=place.system), required=path is not None)
        if on_demand and found.idle_exit is None:
            found = replace(found, idle_exit=_ON_DEMAND)
        found = replace(found, **{name: value for name, value in told.items() if value is not None})
        return replace(found, log=replace(found.log, level="debug")) if settings.debug else found

    from vmherd.daemon import service

    service.run(place, path or config.default_path(system=place.system), read)


def _install(*, system: bool) -> None:
    from vmherd.daemon import units

    written = units.install(system=system)
    for path in written:
        click.echo(f"wrote {path}")
    if written[0].suffix:
        user = "" if system else "--user "
        click.echo(f"next: systemctl {user}daemon-reload && systemctl {user}enable --now vmherd.socket vmherd.service")
    else:
        click.echo("next: sysrc vmherd_enable=YES && service vmherd start")
