"""The ``vmherd`` command itself: the table of its subcommands, and how it starts and ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from vmherd import __version__
from vmherd.cli.failure import guarded
from vmherd.cli.lazy import Entry, LazyGroup
from vmherd.cli.settings import Settings, uri_option

#: Everything ``vmherd --help`` shows, so that it need not import a single command.
COMMANDS: dict[str, dict[str, Entry]] = {
    "Guests": {
        "run": Entry("run", "Boot a guest now, its console attached to this terminal."),
        "create": Entry("definition", "Make a new guest and keep it."),
        "list": Entry("show", "List the guests, running or not."),
        "info": Entry("show", "Show what a guest is and how it does."),
        "destroy": Entry("definition", "Delete a guest, and the disks that 'vmherd create' made for it."),
    },
    "Power": {
        "start": Entry("power", "Boot guests that are defined."),
        "stop": Entry("power", "Shut guests down cleanly, and wait until they are."),
        "restart": Entry("power", "Ask guests to shut down and boot again."),
        "poweroff": Entry("power", "Pull the plug of guests."),
        "reset": Entry("power", "Press the reset button of guests."),
        "suspend": Entry("power", "Pause guests; their memory stays."),
        "resume": Entry("power", "Let paused guests run on."),
        "save": Entry("saving", "Write a running guest to a file, and end it."),
        "restore": Entry("saving", "Let a guest go on that was saved to a file."),
        "managedsave": Entry("saving", "Save running guests for their next start to go on from."),
        "managedsave-remove": Entry("saving", "Forget where guests were saved, so that they boot next time."),
        "inject-nmi": Entry("screen", "Send a non-maskable interrupt to a guest."),
        "autostart": Entry("power", "Start guests together with the host, or no more."),
        "abort": Entry("power", "Abort the job that holds a guest."),
    },
    "Devices": {
        "attach-device": Entry("plug", "Plug a device described by an XML file into a guest."),
        "detach-device": Entry("plug", "Take the device an XML file describes out of a guest."),
        "detach-device-alias": Entry("plug", "Take the device with an alias out of a guest."),
        "update-device": Entry("plug", "Change a device of a guest to what an XML file says."),
        "attach-disk": Entry("plug", "Plug a disk into a guest."),
        "detach-disk": Entry("plug", "Take a disk out of a guest, named by its target or its source."),
        "attach-interface": Entry("plug", "Plug a network card into a guest."),
        "detach-interface": Entry("plug", "Take a network card out of a guest."),
        "change-media": Entry("plug", "Change what is in a CD-ROM or floppy drive of a guest."),
    },
    "Insight": {
        "console": Entry("console", "Attach to the serial console of a running guest."),
        "screenshot": Entry("screen", "Take a picture of what a guest shows."),
        "send-key": Entry("screen", "Press keys of a guest's keyboard together."),
        "vncdisplay": Entry("screen", "Print where a guest's VNC display listens: ADDRESS:NUMBER, or a socket."),
        "domdisplay": Entry("screen", "Print URIs to look at a guest's screen with, such as by 'remote-viewer URI'."),
        "dump": Entry("saving", "Write the memory of a running guest to a file; the guest goes on."),
        "domstats": Entry("stats", "Show the counters of guests."),
        "domblklist": Entry("disks", "List the disks of a guest."),
        "domblkinfo": Entry("disks", "Show how large disks are."),
        "domblkstat": Entry("disks", "Show the counters of a disk, or of all added up."),
        "domblkerror": Entry("disks", "Show which disks fail, and how."),
        "domiflist": Entry("cards", "List the network cards of a guest."),
        "domifstat": Entry("cards", "Show the counters of a network card."),
        "domif-getlink": Entry("cards", "Show whether a network card's cable is plugged in."),
        "events": Entry("events", "Watch what happens to guests."),
        "event": Entry("events", "Wait for something to happen to guests."),
        "qemu-monitor-event": Entry("events", "Wait for events of QEMU's monitors, as they are."),
        "domjobinfo": Entry("control", "Show the job that holds a guest."),
        "domjobabort": Entry("control", "Abort the job that holds a guest."),
        "domcontrol": Entry("control", "Show whether a guest's hypervisor can be talked to."),
        "domlaunchsecinfo": Entry("control", "Show what attests to the encryption of a guest's memory."),
        "qemu-monitor-command": Entry("control", "Send QEMU's monitor a command."),
    },
    "The inside of guests": {
        "guestinfo": Entry("agent", "Show what a guest's agent tells of its inside."),
        "domhostname": Entry("agent", "Print the name that a guest has given itself."),
        "domifaddr": Entry("agent", "Show the addresses of a guest's network interfaces."),
        "domfsinfo": Entry("agent", "Show what a guest has mounted."),
        "domfsfreeze": Entry("agent", "Flush a guest's file systems, and hold all writes."),
        "domfsthaw": Entry("agent", "Let a guest write to its file systems again."),
        "domfstrim": Entry("agent", "Have a guest give back the storage it does not use."),
        "domtime": Entry("agent", "Print or set a guest's clock."),
        "set-user-password": Entry("agent", "Give a user of a guest a password."),
        "guestvcpus": Entry("agent", "Show or switch the vCPUs that a guest uses."),
        "get-user-sshkeys": Entry("agent", "Print the SSH keys that let in as a user of a guest."),
        "set-user-sshkeys": Entry("agent", "Say which SSH keys let in as a user of a guest."),
        "dompmsuspend": Entry("control", "Have a guest go to sleep."),
        "dompmwakeup": Entry("control", "Wake a guest that sleeps."),
        "qemu-agent-command": Entry("agent", "Send the agent in a guest a command."),
        "guest-agent-timeout": Entry("agent", "Say how long a guest's agent gets for its answers."),
    },
    "Share of the host": {
        "setvcpus": Entry("vcpus", "Give a guest more or fewer vCPUs."),
        "setvcpu": Entry("vcpus", "Plug single vCPUs into a guest, or take them out."),
        "vcpucount": Entry("vcpus", "Print how many vCPUs a guest has."),
        "vcpuinfo": Entry("vcpus", "Show what the vCPUs of a running guest do."),
        "vcpupin": Entry("vcpus", "Show or set which of the host's CPUs vCPUs may use."),
        "emulatorpin": Entry("vcpus", "Show or set which of the host's CPUs a guest's other threads may use."),
        "cpu-stats": Entry("vcpus", "Show how much of the host's CPUs a running guest used."),
        "setmem": Entry("memory", "Ask a guest to do with SIZE of memory, such as 512M."),
        "setmaxmem": Entry("memory", "Set how much memory a guest boots with, such as 2G."),
        "dommemstat": Entry("memory", "Show what a running guest says of its memory, or set how often it is asked."),
        "memtune": Entry("limits", "Show or set how much of the host's memory a guest may take."),
        "schedinfo": Entry("limits", "Show or set how much of the host's CPU time a guest may take."),
        "blkiotune": Entry("limits", "Show or set how much a guest may use the host's disks."),
        "numatune": Entry("limits", "Show or set which NUMA nodes of the host a guest's memory comes from."),
        "domiftune": Entry("limits", "Show or set the bandwidth of a guest's network card, in KiB per second."),
        "perf": Entry("limits", "Show or set which events of the host's CPUs are counted for a guest."),
        "iothreadinfo": Entry(
            "iothreads", "Show the I/O threads of a guest, and which of the host's CPUs they may use."
        ),
        "iothreadadd": Entry("iothreads", "Give a guest another I/O thread, for its disks to use."),
        "iothreaddel": Entry("iothreads", "Take an I/O thread that no disk uses from a guest."),
        "iothreadpin": Entry("iothreads", "Let an I/O thread of a guest run on CPUS of the host only."),
        "iothreadset": Entry("iothreads", "Set how an I/O thread of a guest polls, and its pool of threads."),
    },
    "Disks": {
        "blockresize": Entry("disks", "Resize a disk of a running guest."),
        "blkdeviotune": Entry("disks", "Show or set how fast a disk may be."),
        "domblkthreshold": Entry("disks", "Have an event once a disk has grown so far."),
    },
    "Networks and storage": {
        "network": Entry("network", "Make, start and change virtual networks, which others call switches."),
        "nwfilter": Entry("nwfilter", "Show and change network filters: what guests' cards may send and get."),
        "interface": Entry("interface", "Show and configure the host's own network interfaces."),
        "device": Entry("device", "Show the devices of the host, and hand them to guests."),
        "pool": Entry("pool", "Make, start and fill storage pools: places with volumes."),
        "volume": Entry("volume", "Make, copy, resize and remove volumes: the images in storage pools."),
        "secret": Entry("secret", "Keep passphrases and keys that guests' disks need."),
    },
    "Documents": {
        "define": Entry("definition", "Keep guests described by libvirt XML files."),
        "dumpxml": Entry("show", "Print the XML document of a guest."),
        "edit": Entry("edit", "Edit the XML document of a guest."),
        "desc": Entry("control", "Show or change the description or the title of a guest."),
        "metadata": Entry("control", "Show or change what a program keeps in a guest's document."),
        "domrename": Entry("control", "Give a guest another name."),
        "undefine": Entry("definition", "Forget guests; their disks stay."),
        "managedsave-dumpxml": Entry("saving", "Print the document that a saved guest goes on with."),
        "managedsave-define": Entry(
            "saving", "Replace the document that a saved guest goes on with, where it cannot tell."
        ),
        "managedsave-edit": Entry("saving", "Edit the document that a saved guest goes on with."),
        "save-image-dumpxml": Entry("saving", "Print the document in a file that a guest was saved to."),
        "save-image-define": Entry(
            "saving", "Replace the document in a file that a guest was saved to, where the guest cannot tell."
        ),
        "save-image-edit": Entry("saving", "Edit the document in a file that a guest was saved to."),
        "domxml-to-native": Entry("native", "Print what a hypervisor runs for a domain document."),
        "domxml-from-native": Entry("native", "Print a domain document for what a hypervisor runs."),
        "validate": Entry("validate", "Tell everything that is wrong with XML documents."),
    },
    "The host": {
        "capabilities": Entry("host", "Print what the host is and which guests it can run."),
        "domcapabilities": Entry("host", "Print what guests can have: CPUs, firmware, devices."),
        "cpu": Entry("cpu", "Show CPU models and features, compare and combine CPUs."),
        "nodeinfo": Entry("node", "Show the host's processors and memory."),
        "nodecpumap": Entry("node", "Show which of the host's CPUs are online."),
        "nodecpustats": Entry("node", "Show what the host's CPUs do."),
        "nodememstats": Entry("node", "Show how the host's memory is used."),
        "freecell": Entry("node", "Show the memory that nobody uses."),
        "freepages": Entry("node", "Show the pages of memory that nobody uses."),
        "allocpages": Entry("node", "Keep huge pages for guests."),
        "node-memory-tune": Entry("node", "Show or change how the host merges equal pages of memory."),
        "nodesuspend": Entry("node", "Put the host to sleep for a while."),
        "sysinfo": Entry("node", "Print what the host's firmware tells of it."),
        "hostname": Entry("node", "Print the host's name."),
        "maxvcpus": Entry("node", "Print how many vCPUs a guest may have."),
        "uri": Entry("node", "Print the URI of the connection."),
    },
    "This program": {
        "daemon": Entry("daemon", "Serve guests to clients of vmherd and of libvirt."),
        "admin": Entry("admin", "Manage a running daemon: its clients, its limits, its log."),
        "doctor": Entry("host", "Check what this host lacks to run guests."),
        "version": Entry("host", "Show the versions of vmherd and of what runs the guests."),
        "conformance": Entry("conformance", "Answer the cases of a conformance suite."),
        "completion": Entry("completion", "Print the completion script of a shell."),
    },
}

#: Words that others are used to.
_ALIASES = {"vol": "volume", "switch": "network"}


@click.group(
    cls=LazyGroup,
    sections=COMMANDS,
    aliases=_ALIASES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="'vmherd COMMAND --help' tells more.  Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such guest, "
    "4 wrong state, busy or taken, 5 the host or the connection, 130 interrupted.",
)
@uri_option
@click.option("--debug", is_flag=True, help="Log what is done, and show where an error came from.")
@click.option("--no-daemon", is_flag=True, help="Go by no daemon, as with VMHERD_DAEMON=never.")
@click.version_option(__version__, "-V", "--version", prog_name="vmherd", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, debug: bool, no_daemon: bool) -> None:
    """Run virtual machines and everything around them.

    'vmherd run' boots a guest now, with nothing to set up.
    """
    settings = ctx.ensure_object(Settings)
    settings.debug = debug
    settings.direct = no_daemon
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="%(relativeCreated)6d ms %(name)s: %(message)s")


def command(name: str) -> click.Command:
    """Import a subcommand."""
    assert isinstance(cli, LazyGroup)
    return cli.load(name)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run ``arguments``, those of the process if None; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return guarded(lambda: cli.main(words, prog_name="vmherd", standalone_mode=False), debug="--debug" in words)
