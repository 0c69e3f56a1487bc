"""Character devices, displays and what is around them: choices of a start, settings of the administrator, refusals."""

from __future__ import annotations

import json
import socket
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from standins import Numbers
from vmherd.conf.domain import Domain, parse_domain, render, stored
from vmherd.conf.domain.storage import Secret
from vmherd.errors import DocumentError, HostError, VmherdError
from vmherd.hypervisors.qemu import alias, complete, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import Launch, build, environment
from vmherd.hypervisors.qemu.command.secrets import Vault
from vmherd.hypervisors.qemu.config import DEFAULTS, Config, Display, Tls, load_config
from vmherd.hypervisors.qemu.helpers import gpuhelper, swtpm
from vmherd.hypervisors.qemu.host.accel import Verdict
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory
from vmherd.hypervisors.qemu.startup import channels, displays

DATA = Path(__file__).parents[1] / "data" / "qemu"
RUN = Path("/run/guest")


@pytest.fixture(scope="module")
def caps() -> Capabilities:
    return msgspec.json.decode((DATA / "capabilities-7.2.json").read_bytes(), type=Capabilities)


def completed(devices: str, caps: Capabilities, config: Config = DEFAULTS, *, machine: str = "pc") -> Domain:
    domain = parse_domain(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>web</name>"
        f"<memory unit='MiB'>64</memory><os><type arch='x86_64' machine='{machine}'>hvm</type></os>{devices}</domain>"
    )
    complete.complete(domain, caps, new=True, config=config)
    validate.check(domain, caps, kvm=Verdict(usable=True, reason=""))
    return domain


def launch(config: Config = DEFAULTS, vault: Vault | None = None) -> Launch:
    return Launch(
        folder=RUN,
        monitor_fd=9,
        opener=Numbers(),
        host=Numbers(),
        memory=HostMemory(files=RUN),
        now=datetime(2026, 1, 2, tzinfo=UTC),
        config=config,
        vault=vault or Vault(),
        tpm_socket=RUN / "swtpm.sock",
    )


def started(devices: str, caps: Capabilities, config: Config = DEFAULTS, vault: Vault | None = None) -> list[str]:
    domain = completed(devices, caps, config)
    domain.id = 1
    alias.assign(domain)
    channels.name(domain, RUN)
    displays.complete(domain, config, RUN, lambda: "/dev/dri/renderD128", RUN / "dbus.sock")
    displays.choose_ports(domain, config, Ports().reserve)
    return build(domain, caps, launch(config, vault))


class Ports:
    """Hands out one port after the other."""

    def __init__(self) -> None:
        self._taken: dict[int, int] = {}

    def reserve(self, candidates: range, _: str) -> int:
        self._taken[candidates.start] = self._taken.get(candidates.start, candidates.start - 1) + 1
        return self._taken[candidates.start]


def values(argv: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(argv) if name == option]


AUTO = "autoport='yes'"
SECURE = Config(spice=Display(tls=True, tls_folder="/etc/pki/spice"), vnc=Display(tls=True, sasl=True))


@pytest.mark.parametrize(
    ("graphics", "config", "expected"),
    [
        (AUTO, DEFAULTS, "port=5900,addr=127.0.0.1,disable-ticketing=on"),
        (AUTO, SECURE, "port=5900,tls-port=5901,addr=127.0.0.1,disable-ticketing=on,x509-dir=/etc/pki/spice"),
        ("autoport='yes' defaultMode='secure'", SECURE, "tls-port=5900,addr=127.0.0.1,disable-ticketing=on,"
         "x509-dir=/etc/pki/spice,tls-channel=default"),
        ("autoport='yes' defaultMode='insecure'", SECURE, "port=5900,addr=127.0.0.1,disable-ticketing=on,"
         "plaintext-channel=default"),
        ("port='5999' passwd='secret'", DEFAULTS, "port=5999,addr=127.0.0.1"),
        ("", DEFAULTS, "port=0,disable-ticketing=on"),
        (AUTO, Config(spice=Display(auto_socket=True)), "unix,addr=/run/guest/spice.sock,disable-ticketing=on"),
        (AUTO, Config(spice=Display(listen="::1", password="x")), "port=5900,addr=::1"),
    ],
)  # fmt: skip
def test_spice_listens_as_document_and_administrator_want(
    graphics: str, config: Config, expected: str, caps: Capabilities
) -> None:
    argv = started(f"<devices><graphics type='spice' {graphics}/></devices>", caps, config)
    assert values(argv, "-spice") == [f"{expected},seamless-migration=on"]


def test_each_display_gets_ports_of_its_own(caps: Capabilities) -> None:
    devices = "<graphics type='vnc' autoport='yes' websocket='-1'/><graphics type='spice' autoport='yes'/>"
    argv = started(f"<devices>{devices}</devices>", caps)
    assert values(argv, "-vnc") == ["127.0.0.1:0,websocket=5700,audiodev=audio1"]
    assert values(argv, "-spice")[0].startswith("port=5901,")


def test_vnc_with_certificates_and_sasl(caps: Capabilities) -> None:
    argv = started("<devices><graphics type='vnc' port='5907' autoport='no'/></devices>", caps, SECURE)
    assert values(argv, "-vnc") == ["127.0.0.1:7,tls-creds=vnc-tls-creds0,sasl=on,audiodev=audio1"]
    (credentials,) = (json.loads(value) for value in values(argv, "-object") if "x509" in value)
    assert credentials["id"] == "vnc-tls-creds0"
    assert credentials["endpoint"] == "server"
    assert credentials["verify-peer"] is True


LINE = "<devices><serial type='tcp'><source mode='{}' host='h' service='1' {}/></serial></devices>"


@pytest.mark.parametrize(
    ("mode", "tls", "endpoint", "verify"),
    [
        ("bind", "", "server", False),
        ("connect", "", "client", True),
        ("connect", "tls='no'", None, None),
    ],
)
def test_lines_on_tcp_are_encrypted_where_the_administrator_says_so(
    mode: str, tls: str, endpoint: str | None, verify: bool | None, caps: Capabilities
) -> None:
    config = Config(chardev=Tls(tls=True, tls_verify=False, tls_secret="6fd3f62d-9fe7-4a4e-a869-7acd6376d8ea"))
    asked: list[Secret] = []
    vault = Vault(find=lambda secret: asked.append(secret) or b"open sesame")
    argv = started(LINE.format(mode, tls), caps, config, vault)
    objects = {json.loads(value)["id"]: json.loads(value) for value in values(argv, "-object")}
    found = objects.get("objcharserial0_tls0")
    assert (found and found["endpoint"], found and found["verify-peer"]) == (endpoint, verify)
    if found:
        assert found["passwordid"] == "charserial0-secret0"
        assert objects["charserial0-secret0"]["keyid"] == "masterKey0"
        assert [secret.uuid for secret in asked] == [config.chardev.tls_secret]
    assert ("tls-creds=objcharserial0_tls0" in values(argv, "-chardev")[1]) is (found is not None)


def test_a_document_can_ask_for_encryption_by_itself(caps: Capabilities) -> None:
    assert any("tls-creds-x509" in word for word in started(LINE.format("bind", "tls='yes'"), caps))


SDL, VNC = "<graphics type='sdl'/>", "<graphics type='vnc'/>"


@pytest.mark.parametrize(
    ("devices", "config", "expected"),
    [
        ("", DEFAULTS, '"driver":"none"'),
        ("", Config(host_audio=True, audio_driver="pa"), '"driver":"pa"'),
        ("", Config(audio_driver="pa"), '"driver":"none"'),
        (VNC, Config(audio_driver="alsa"), '"driver":"none"'),
        (VNC, Config(vnc=Display(host_audio=True), audio_driver="alsa"), '"driver":"alsa"'),
        (SDL, Config(audio_driver="wav"), '"driver":"wav"'),
        (SDL, DEFAULTS, None),
        (VNC + "<graphics type='spice'/>", DEFAULTS, '"driver":"spice"'),
        ("<graphics type='dbus' p2p='yes'/>", DEFAULTS, None),
    ],
)
def test_sound_goes_where_the_display_is(
    devices: str, config: Config, expected: str | None, caps: Capabilities
) -> None:
    (found,) = values(started(f"<devices>{devices}</devices>", caps, config), "-audiodev") or [None]
    assert (found is None) is (expected is None)
    assert expected is None or (found and expected in found)


def test_a_backend_that_is_none_is_told(caps: Capabilities) -> None:
    with pytest.raises(HostError, match="QEMU_AUDIO_DRV=gramophone"):
        completed("<devices/>", caps, Config(host_audio=True, audio_driver="gramophone"))


def test_windows_and_their_sound_take_variables_from_the_document(caps: Capabilities) -> None:
    screen = "<graphics type='sdl' display=':1' xauth='/a'/><audio id='1' type='sdl' driver='pulseaudio'/>"
    found = environment(completed(f"<devices>{screen}</devices>", caps), launch(), {})
    assert (found["DISPLAY"], found["XAUTHORITY"], found["SDL_AUDIODRIVER"]) == (":1", "/a", "pulseaudio")


def test_paths_made_up_for_channels_are_not_kept(caps: Capabilities) -> None:
    def channel(path: str) -> str:
        target = "<target type='virtio' name='a.0'/>"
        return f"<devices><channel type='unix'><source mode='bind' path='{path}'/>{target}</channel></devices>"

    root = DEFAULTS.channels
    for made_up in (f"{root}/domain-3-web/a.0", f"{root}/web.a.0"):
        domain = completed(channel(made_up), caps)
        assert made_up not in render(domain)
        channels.name(domain, RUN)
        assert domain.devices.channels[0].sources[0].path == "/run/guest/a.0"
    assert "/srv/a.0" in render(completed(channel("/srv/a.0"), caps))


def test_a_channel_with_a_path_made_up_cannot_reconnect(caps: Capabilities) -> None:
    line = "<source mode='connect'><reconnect enabled='yes' timeout='5'/></source><target type='virtio' name='a'/>"
    with pytest.raises(DocumentError) as caught:
        completed(f"<devices><channel type='unix'>{line}</channel></devices>", caps)
    assert "reconnect" in caught.value.place


def test_a_definition_does_not_keep_chosen_ports(caps: Capabilities) -> None:
    screens = "<graphics type='spice' port='5901' tlsPort='5902' autoport='yes'/><graphics type='vnc' port='-1'/>"
    domain = completed(f"<devices>{screens}</devices>", caps)
    displays.choose_ports(domain, DEFAULTS, Ports().reserve)
    spice, vnc = stored(domain).devices.graphics
    assert (spice.port, spice.tls_port, vnc.port) == (None, None, -1)


def test_a_filter_lets_any_device_match_that_it_does_not_tell(caps: Capabilities) -> None:
    rule = "<usbdev class='-1' vendor='4660' version='02.5' allow='yes'/><usbdev version='-1' allow='no'/>"
    text = f"<devices><redirdev type='spicevmc'/><redirfilter>{rule}</redirfilter></devices>"
    assert "<usbdev vendor='0x1234' version='2.50' allow='yes'/>" in render(completed(text, caps))
    (found,) = (json.loads(word) for word in values(started(text, caps), "-device") if "usb-redir" in word)
    assert found["filter"] == "-1:0x1234:-1:0x0250:1|-1:-1:-1:-1:0"


def test_sockets_made_up_for_displays_are_not_kept(caps: Capabilities) -> None:
    old = f"{DEFAULTS.guests}/domain-3-web/vnc.sock"
    argv = started(f"<devices><graphics type='vnc' socket='{old}'/></devices>", caps)
    assert values(argv, "-vnc") == ["vnc=unix:/run/guest/vnc.sock,audiodev=audio1"]
    argv = started("<devices><graphics type='vnc' socket='/srv/vnc.sock'/></devices>", caps)
    assert values(argv, "-vnc") == ["vnc=unix:/srv/vnc.sock,audiodev=audio1"]


def test_a_line_over_spice_waits_for_a_spice_display(caps: Capabilities) -> None:
    line = "<serial type='spiceport'><source channel='org.example.serial'/></serial>"
    assert not any("spiceport" in word for word in started(f"<devices>{line}</devices>", caps))
    argv = started(f"<devices>{line}<graphics type='spice'/></devices>", caps)
    assert "spiceport,id=charserial0,name=org.example.serial" in values(argv, "-chardev")


OVERRIDE = (
    "<devices><memballoon model='virtio'><alias name='ua-b'/></memballoon></devices><qemu:override>"
    "<qemu:device alias='ua-b'><qemu:frontend><qemu:property name='p' type='{}' value='{}'/></qemu:frontend>"
    "</qemu:device></qemu:override>"
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("string", "7", "7"), ("signed", "-7", -7), ("unsigned", "7", 7), ("bool", "true", True)],
)
def test_properties_of_devices_are_overridden(kind: str, text: str, value: object, caps: Capabilities) -> None:
    found = [json.loads(word) for word in values(started(OVERRIDE.format(kind, text), caps), "-device")]
    assert [each["p"] for each in found if each.get("id") == "ua-b"] == [value]


@pytest.mark.parametrize(("kind", "text"), [("signed", "x"), ("unsigned", "-7"), ("bool", "perhaps")])
def test_an_override_that_is_no_value_is_refused(kind: str, text: str, caps: Capabilities) -> None:
    with pytest.raises(DocumentError):
        started(OVERRIDE.format(kind, text), caps)


TPM = "<tpm model='{}'><backend type='{}' {}/></tpm>"
CARD = "<smartcard mode='host-certificates'><certificate>a</certificate></smartcard>"


@pytest.mark.parametrize(
    ("devices", "place"),
    [
        (TPM.format("tpm-crb", "emulator", "version='1.2'"), "domain/devices/tpm[1]/backend/@version"),
        (TPM.format("tpm-spapr", "passthrough", ""), "domain/devices/tpm[1]/@model"),
        (TPM.format("tpm-crb", "emulator", "") * 2, "domain/devices/tpm[2]"),
        ("<tpm><backend type='external'><source type='unix' mode='bind' path='/a'/></backend></tpm>",
         "domain/devices/tpm[1]/backend/source/@mode"),
        (CARD, "domain/devices/smartcard[1]/certificate"),
        ("<smartcard mode='host'/>" * 2, "domain/devices/smartcard[2]"),
        ("<vsock><cid address='2'/></vsock>", "domain/devices/vsock/cid/@address"),
        ("<vsock/>", "domain/devices/vsock/cid"),
    ],
)  # fmt: skip
def test_what_no_qemu_has_is_refused(devices: str, place: str, caps: Capabilities) -> None:
    with pytest.raises(DocumentError) as caught:
        completed(f"<devices>{devices}</devices>", caps, machine="q35")
    assert caught.value.place == place or place in str(caught.value)
    assert caught.value.hint


def test_the_version_of_a_tpm_follows_its_model(caps: Capabilities) -> None:
    for model, version in (("tpm-tis", "1.2"), ("tpm-crb", "2.0")):
        text = TPM.format(model, "emulator", "")
        domain = completed(f"<devices>{text}</devices>", caps, machine="q35")
        assert f"version='{version}'" in render(domain)
        swtpm.require(domain, [version])
        with pytest.raises(DocumentError, match=version):
            swtpm.require(domain, [])


def test_settings_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QEMU_AUDIO_DRV", "alsa")
    monkeypatch.delenv("SDL_AUDIODRIVER", raising=False)
    path = tmp_path / "qemu.toml"
    assert load_config(path) == Config(audio_driver="alsa")
    path.write_text("deprecation = 'crash'\n[vnc]\nlisten = '::'\nsasl = true\n")
    assert load_config(path) == Config(deprecation="crash", vnc=Display(listen="::", sasl=True), audio_driver="alsa")
    for wrong in ("[vnc]\nport = 3\n", "[vnc", "[vnc]\ntls = 'perhaps'\n"):
        path.write_text(wrong)
        with pytest.raises(HostError, match=r"qemu\.toml"):
            load_config(path)


HELPER = f"""#!{sys.executable}
import os, pathlib, sys
if sys.argv[1] == "--print-capabilities":
    print('{{"type": "gpu", "features": ["render-node", "virgl"]}}')
else:
    here = pathlib.Path(sys.argv[0]).parent
    (here / "arguments").write_text(" ".join(sys.argv[2:]))
    (here / "heard").write_bytes(os.read(int(sys.argv[1].removeprefix("--fd=")), 5))
"""


async def test_a_process_of_its_own_renders_for_a_card(caps: Capabilities, tmp_path: Path) -> None:
    helper, log = tmp_path / "gpu", tmp_path / "log"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    (tmp_path / "50-gpu.json").write_text(json.dumps({"type": "gpu", "binary": str(helper)}))
    model = "<model type='virtio'><acceleration accel3d='yes' rendernode='/dev/dri/r'/></model>"
    domain = completed(f"<devices><video><driver name='vhostuser'/>{model}</video></devices>", caps)
    alias.assign(domain)
    with log.open("wb") as output:
        connection = gpuhelper.start(domain.devices.videos[0], tmp_path, output.fileno(), [tmp_path])
    with connection:
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # until it is gone
    assert (tmp_path / "heard").read_bytes() == b"hello"
    assert (tmp_path / "arguments").read_text() == "--virgl --render-node=/dev/dri/r"


def test_without_a_program_no_card_is_rendered_for(caps: Capabilities, tmp_path: Path) -> None:
    domain = completed("<devices><video><driver name='vhostuser'/><model type='virtio'/></video></devices>", caps)
    (tmp_path / "50-gpu.json").write_text("")
    with pytest.raises(VmherdError, match="renders"):
        gpuhelper.start(domain.devices.videos[0], tmp_path, 2, [tmp_path])
