"""The daemon as a process: doors, certificates, systemd, signals, access."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from daemons import RunningDaemon, virsh
from parts import free_port, processes

from support.certificates import Authority
from support.libvirtd import Libvirtd

pytestmark = pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients")

GUEST = "<domain type='test'><name>{}</name><memory>1024</memory><os><type>hvm</type></os></domain>"


# Doors


def test_each_socket_gives_what_its_name_says(tmp_path: Path) -> None:
    with RunningDaemon(tmp_path) as daemon:
        assert daemon.virsh("list", "--name") == "test"
        assert daemon.virsh("list", "--name", readonly=True) == "test"
        # By what libvirt's client library refuses itself, and by what it leaves to the daemon.
        assert "read only access prevents" in daemon.virsh("destroy", "test", readonly=True)
        assert "Domain 'test' destroyed" in daemon.virsh("destroy", "test")
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in daemon.run.glob("*-sock*")}
        assert modes == {"libvirt-sock": "0o660", "libvirt-sock-ro": "0o666", "libvirt-admin-sock": "0o600"}
    assert [path.name for path in daemon.run.iterdir()] == ["daemon.lock"]


def test_a_folder_has_one_daemon_and_what_a_killed_one_left_is_in_nobodys_way(tmp_path: Path) -> None:
    with RunningDaemon(tmp_path) as first:
        second = RunningDaemon(tmp_path)
        words = [sys.executable, "-m", "vmherd", "daemon", "--config", str(second.config)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20)
        assert done.returncode == 4
        assert f"a daemon runs already in {first.run}, as process {first.process.pid}" in done.stderr  # type: ignore[union-attr]
        first.signal(signal.SIGKILL)
        first.wait()
        assert (first.run / "libvirt-sock").is_socket()
    first.log.unlink()
    with RunningDaemon(tmp_path) as again:
        assert again.virsh("list", "--name") == "test"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[tcp]\nlisten = ["127.0.0.1:99999"]', "cannot listen at 127.0.0.1:99999 (tcp.listen): there are ports up to"),
        ('[tcp]\nlisten = ["192.0.2.1:1"]', "cannot listen at 192.0.2.1:1 (tcp.listen): [Errno 99]"),
        ('[tls]\nlisten = [":0"]\nca = "/none"', "tls.ca: /none: No such file or directory"),
        ('[log]\noutputs = ["file:/none/at/all"]', "cannot log to file:/none/at/all"),
        ('[access]\ndefault = "king"', "daemon.toml: access.default: no role 'king'"),
        ("idle = 3", "daemon.toml: idle: no such setting"),
    ],
)
def test_what_cannot_be_is_told_with_its_setting_and_leaves_nothing(tmp_path: Path, text: str, said: str) -> None:
    daemon = RunningDaemon(tmp_path, text)
    words = [sys.executable, "-m", "vmherd", "daemon", "--config", str(daemon.config)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    assert done.returncode == 5
    assert said in done.stderr
    assert list(daemon.run.glob("*-sock*")) == []


def test_it_stands_in_at_libvirts_own_place_unless_libvirt_is_there(tmp_path: Path) -> None:
    place = tmp_path / "libvirt"
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "vmherd").mkdir()
    (tmp_path / "vmherd/daemon.toml").write_text("sockets.libvirt_paths = true")
    words = [sys.executable, "-m", "vmherd", "-c", "test:///default", "daemon", "--session"]
    place.mkdir()
    with socket.socket(socket.AF_UNIX) as libvirtd:
        libvirtd.bind(str(place / "libvirt-sock"))
        libvirtd.listen()
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=20)
    assert done.returncode == 5
    assert f"somebody listens at {place}/libvirt-sock already" in done.stderr
    with subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while virsh(f"test+unix:///default?socket={place}/libvirt-sock", "list", "--name") != "test":
                assert time.monotonic() < deadline
        finally:
            process.terminate()


#: A system's folders of one's own, and libvirt's client library without a word about where the daemon is.
SYSTEM = """
for folder in /run /etc/libvirt /var/lib/libvirt /etc/vmherd /var/lib/vmherd /var/log/vmherd /var/cache/vmherd; do
    mkdir -p $folder && mount -t tmpfs tmpfs $folder
done
echo sockets.libvirt_paths = true > /etc/vmherd/daemon.toml
"$1" -m vmherd daemon &
trap "kill $!" EXIT
for try in $(seq 200); do test -S /run/libvirt/libvirt-admin-sock && break; sleep 0.1; done
virsh -c qemu:///system define "$2"
"$1" -m vmherd list --name
virsh -r -c qemu:///system list --all --name
virt-admin server-list
"""


@pytest.mark.qemu
@pytest.mark.root
def test_clients_of_libvirt_find_the_systems_daemon_unchanged(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the system's daemon is root's")
    (tmp_path / "a.xml").write_text(
        "<domain type='qemu'><name>otter</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    )
    words = ["unshare", "-m", "--propagation", "private", "sh", "-ec", SYSTEM, "sh", sys.executable, tmp_path / "a.xml"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert told.startswith("Domain 'otter' defined from")
    assert "a.xml otter otter Id Name" in told
    assert told.endswith("0 libvirtd 1 admin")


# Systemd

#: Puts the descriptors where systemd does, and becomes the program that comes after.
SYSTEMD = """
import fcntl, os, sys
for place, fd in enumerate([fcntl.fcntl(int(fd), fcntl.F_DUPFD, 50) for fd in sys.argv[1].split(",")]):
    os.dup2(fd, 3 + place)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_it_takes_systemds_sockets_and_tells_it_how_far_it_is(tmp_path: Path) -> None:
    daemon = RunningDaemon(tmp_path)
    daemon.run.mkdir()
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(20)
    doors = []
    for name in ("libvirt-sock", "libvirt-sock-ro", "libvirt-admin-sock"):
        doors.append(socket.socket(socket.AF_UNIX))
        doors[-1].bind(str(daemon.run / name))
        doors[-1].listen()
    # The last one's name is not ours: its path tells what it is.
    variables = [
        "LISTEN_FDS=3",
        "LISTEN_FDNAMES=libvirt-sock:libvirt-sock-ro:unknown",
        f"NOTIFY_SOCKET={tmp_path}/notify",
    ]
    fds = [door.fileno() for door in doors]
    daemon.start(words=[sys.executable, "-c", SYSTEMD, ",".join(map(str, fds)), "env", *variables], pass_fds=fds)
    for door in doors:
        door.close()
    try:
        assert told.recv(1000) == b"READY=1\nSTATUS=serving test:///default"
        assert daemon.virsh("list", "--name") == "test"
        daemon.signal(signal.SIGHUP)
        assert told.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert told.recv(1000).startswith(b"READY=1\n")
        daemon.signal(signal.SIGTERM)
        assert told.recv(1000) == b"STOPPING=1"
        assert daemon.wait() == 0
        # They are systemd's: it has them for the next one.
        assert (daemon.run / "libvirt-sock").exists()
    finally:
        told.close()
        daemon.__exit__()


# Signals


def test_it_reads_its_settings_anew_and_keeps_those_it_has_where_they_are_wrong(tmp_path: Path) -> None:
    port = free_port()
    tcp = f'[tcp]\nlisten = ["127.0.0.1:{port}"]\nrole = "{{}}"'
    with RunningDaemon(tmp_path, tcp.format("viewer")) as daemon:
        place = f"test+tcp://127.0.0.1:{port}/default"
        assert virsh(place, "list", "--name") == "test"
        assert "domain_suspend needs domain:suspend" in virsh(place, "suspend", "test")
        daemon.configure(tcp.format("operator"))
        daemon.signal(signal.SIGHUP)
        daemon.expect("anew")
        assert "suspended" in virsh(place, "suspend", "test")
        daemon.configure(tcp.format("king"))
        daemon.signal(signal.SIGHUP)
        daemon.expect(f"the settings stay as they were: {daemon.config}: tcp.role: no role 'king'")
        assert "resumed" in virsh(place, "resume", "test")


@pytest.mark.qemu
def test_it_ends_when_what_is_under_way_is_done_and_guests_run_on(tmp_path: Path) -> None:
    daemon = RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path}")
    (tmp_path / "a.xml").write_text(
        "<domain type='qemu'><name>a</name><memory>65536</memory><os><type>hvm</type></os>"
        "<devices><serial type='pty'/></devices></domain>"
    )
    with daemon:
        assert "defined" in daemon.virsh("define", str(tmp_path / "a.xml"))
        uri = f"qemu+unix:///system?socket={daemon.run}/libvirt-sock"
        with subprocess.Popen(["virsh", "-c", uri, "start", "a"], stdout=subprocess.PIPE, text=True) as start:
            while not any("guest=a" in line for line in processes(tmp_path).values()):
                assert start.poll() is None
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
            assert start.communicate(timeout=20)[0].strip() == "Domain 'a' started"
    daemon.log.unlink()
    with daemon:
        assert daemon.virsh("domstate", "a") == "running"
        console = subprocess.Popen(
            ["script", "-qec", f"virsh -c '{uri}' console a", "/dev/null"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with console:
            assert console.stdout is not None
            while b"Escape character" not in console.stdout.readline():
                pass
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
            console.communicate(timeout=20)
    daemon.log.unlink()
    with daemon:
        # One that stays notices guests whose keeper is gone, as each command by itself does.
        for words in ("qemu.keeper", "guest=a"):
            (pid,) = (pid for pid, line in processes(tmp_path).items() if words in line)
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while daemon.virsh("domstate", "a") != "shut off":
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.qemu
def test_an_idle_daemon_leaves_once_no_guest_runs(tmp_path: Path) -> None:
    daemon = RunningDaemon(tmp_path, "idle_exit = 1", uri=f"qemu:///embed?root={tmp_path}")
    guest = "<domain type='qemu'><name>a</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    (tmp_path / "a.xml").write_text(guest)
    with daemon:
        assert "created" in daemon.virsh("create", str(tmp_path / "a.xml"))
        with pytest.raises(subprocess.TimeoutExpired):
            assert daemon.process is not None
            daemon.process.wait(2.5)
        assert "destroyed" in daemon.virsh("destroy", "a")
        assert daemon.wait() == 0
        assert "nobody has needed this daemon for 1 seconds" in daemon.said()


# Certificates


def welcome(port: int, authority: Path, client: Path) -> bool:
    """Whether the server says so, as libvirt does: libvirt's own client would not show a certificate of another CA."""
    context = ssl.create_default_context(cafile=str(authority / "cacert.pem"))
    context.load_cert_chain(client / "clientcert.pem", client / "clientkey.pem")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            return connection.recv(10) == b"\1"
    except (ssl.SSLError, ConnectionResetError):
        return False


def tls_settings(folder: Path, port: int, *more: str) -> str:
    lines = [f'listen = ["127.0.0.1:{port}"]', f'ca = "{folder}/cacert.pem"', *more]
    return "[tls]\n" + "\n".join(
        [*lines, f'certificate = "{folder}/servercert.pem"', f'key = "{folder}/serverkey.pem"']
    )


def test_certificates_decide_who_comes_in_and_what_they_may_do(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    authority.issue("server", "/CN=localhost")
    admin = authority.client(tmp_path / "admin", "/O=Example/CN=admin")
    ci = authority.client(tmp_path / "ci", "/O=Example/CN=ci")
    other = authority.client(tmp_path / "other", "/O=Elsewhere/CN=admin")
    stranger = Authority(tmp_path / "strange").client(tmp_path / "stranger", "/O=Example/CN=admin")
    shutil.copy(authority.folder / "cacert.pem", stranger)
    port = free_port()
    access = (
        '\n[access]\ndefault = "none"\n[[access.grants]]\nrole = "admin"\nnames = ["CN=admin,*"]\n'
        '[[access.grants]]\nrole = "admin"\nnames = ["CN=ci,O=Example"]\ndomains = ["ci-*"]'
    )
    with RunningDaemon(tmp_path, tls_settings(authority.folder, port, 'allowed = ["*,O=Example"]') + access) as daemon:

        def ask(folder: Path, *words: str) -> str:
            return virsh(f"test+tls://127.0.0.1:{port}/default?pkipath={folder}", *words)

        assert ask(admin, "list", "--name") == "test"
        assert "error" in ask(other, "list")
        daemon.expect("the certificate 'CN=admin,O=Elsewhere' may not come in")
        assert not welcome(port, authority.folder, stranger)
        assert welcome(port, authority.folder, admin)

        # One who may do everything, with some guests.
        (tmp_path / "mine.xml").write_text(GUEST.format("ci-1"))
        (tmp_path / "theirs.xml").write_text(GUEST.format("web"))
        assert ask(ci, "list", "--name") == ""
        assert "Domain 'ci-1' defined" in ask(ci, "define", str(tmp_path / "mine.xml"))
        assert "domain_define_xml" in ask(ci, "define", str(tmp_path / "theirs.xml"))
        assert "started" in ask(ci, "start", "ci-1")
        assert ask(ci, "domstate", "test") == "error: failed to get domain 'test'"
        assert ask(ci, "list", "--name") == "ci-1"
        assert set(ask(admin, "list", "--name").split()) == {"ci-1", "test"}


def revoke(authority: Path, certificate: Path) -> None:
    """Put a certificate on the authority's list, crl.pem."""
    revoked = x509.load_pem_x509_certificate(certificate.read_bytes())
    issuer = x509.load_pem_x509_certificate((authority / "cacert.pem").read_bytes())
    key = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(revoked.serial_number).revocation_date(now).build()
    made = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).add_revoked_certificate(entry)
    made = made.last_update(now - timedelta(hours=1)).next_update(now + timedelta(hours=1))
    text = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (authority / "crl.pem").write_bytes(text)


def test_new_certificates_and_revoked_ones_count_after_a_reload(tmp_path: Path) -> None:
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    port = free_port()
    old.issue("server", "/CN=localhost")
    before = old.client(tmp_path / "before", "/CN=client")
    new.issue("server", "/CN=localhost")
    after = new.client(tmp_path / "after", "/CN=client")
    with RunningDaemon(tmp_path, tls_settings(old.folder, port)) as daemon:

        def answers(folder: Path) -> bool:
            return virsh(f"test+tls://127.0.0.1:{port}/default?pkipath={folder}", "list", "--name") == "test"

        assert answers(before)
        assert not answers(after)
        daemon.configure(tls_settings(new.folder, port))
        daemon.signal(signal.SIGHUP)
        daemon.expect("anew")
        assert answers(after)
        assert not answers(before)
        revoke(new.folder, after / "clientcert.pem")
        daemon.configure(tls_settings(new.folder, port, f'crl = "{new.folder}/crl.pem"'))
        daemon.signal(signal.SIGHUP)
        daemon.expect("anew", at_least=2)
        assert not answers(after)


# A session's own


def test_commands_at_once_start_one_daemon_between_them(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "VMHERD_"))}
    environment |= {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    settings = tmp_path / ".config/vmherd/daemon.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("idle_exit = 4")
    words = [sys.executable, "-m", "vmherd", "-c", "qemu:///session", "list", "--name"]

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=environment | more, capture_output=True, text=True, timeout=60)

    commands = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) for _ in range(4)]
    assert [command.wait(60) for command in commands] == [0] * 4
    lock, log = tmp_path / "vmherd/daemon.lock", tmp_path / ".local/state/vmherd/daemon.log"
    assert log.read_text().count(f"listening at {tmp_path}/vmherd/libvirt-sock\n") == 1
    os.kill(int(lock.read_text()), signal.SIGKILL)
    assert run().returncode == 0
    assert log.read_text().count(f"listening at {tmp_path}/vmherd/libvirt-sock\n") == 2
    deadline = time.monotonic() + 20
    while (tmp_path / "vmherd/libvirt-sock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    settings.write_text("idle_exit = true")
    refused = run()
    assert refused.returncode == 5
    assert f"did not start: {settings}: idle_exit: Expected `int | null`, got `bool`" in refused.stderr
    assert run(VMHERD_DAEMON="never").returncode == 0


# Managing it


def admin(daemon: RunningDaemon, *words: str) -> str:
    uri = f"libvirtd:///system?socket={daemon.run}/libvirt-admin-sock"
    done = subprocess.run(["virt-admin", "-c", uri, *words], capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr


def test_virt_admin_sees_clients_changes_limits_and_the_log(tmp_path: Path) -> None:
    with RunningDaemon(tmp_path) as daemon:
        words = ["virsh", "-c", f"test+unix:///default?socket={daemon.run}/libvirt-sock-ro"]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as client:
            assert client.stdin is not None
            assert client.stderr is not None
            client.stdin.write(b"list\n")
            client.stdin.flush()
            deadline = time.monotonic() + 20
            while "unix" not in admin(daemon, "client-list", "libvirtd"):
                assert time.monotonic() < deadline
            told = admin(daemon, "client-info", "libvirtd", "1")
            assert f"unix_process_id: {client.pid}" in told
            assert "readonly       : yes" in told
            admin(daemon, "client-disconnect", "libvirtd", "1")
            assert b"Disconnected" in client.stderr.readline()
            client.communicate(b"quit\n", timeout=20)
        admin(daemon, "server-clients-set", "libvirtd", "--max-clients", "7", "--max-unauth-clients", "3")
        told = admin(daemon, "server-clients-info", "libvirtd")
        assert [line.split(":")[1].strip() for line in told.splitlines() if line] == ["7", "0", "3", "0"]
        admin(daemon, "daemon-log-filters", "1:wire")
        admin(daemon, "daemon-log-outputs", f"1:file:{tmp_path}/other.log")
        daemon.virsh("list")
        line = next(line for line in (tmp_path / "other.log").read_text().splitlines() if "list_all_domains" in line)
        assert re.search(r"client \d+: connect_list_all_domains is answered \(\d+\.\d ms\)$", line)
        assert "minWorkers     : 1" in admin(daemon, "server-threadpool-info", "libvirtd")
        assert "no server named 'nosuch'" in admin(daemon, "client-list", "nosuch")
        daemon.virsh("destroy", "test")
        admin(daemon, "daemon-timeout", "--timeout", "1")
        assert daemon.wait() == 0


def managed(run: Path, *words: str) -> str:
    command = [sys.executable, "-m", "vmherd", "admin", *words, "--socket", f"{run}/libvirt-admin-sock"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr


def test_vmherd_manages_libvirtd_as_well(libvirtd: Libvirtd) -> None:
    run = libvirtd.socket.parent
    assert set(managed(run, "servers").split()) == {"libvirtd", "admin"}
    place = libvirtd.uri("test:///default")
    with subprocess.Popen(["virsh", "-c", place, "event", "--all"], stdout=subprocess.DEVNULL) as client:
        deadline = time.monotonic() + 20
        while f"(process {client.pid})" not in managed(run, "clients"):
            assert time.monotonic() < deadline
        found = [
            each
            for each in json.loads(managed(run, "clients", "--json"))
            if each["about"]["unix_process_id"] == client.pid
        ]
        assert "unix user name   root" in managed(run, "client", str(found[0]["number"]))
        assert "is disconnected" in managed(run, "disconnect", str(found[0]["number"]))
    assert "waiting  0 of 19" in managed(run, "limits", "--waiting", "19")
    assert "filters  1:*qemu*" in managed(run, "log", "--filters", "1:qemu")  # its own way to write it
    assert "filters" not in managed(run, "log", "--filters", "")


def test_vmherd_manages_daemons_too(tmp_path: Path) -> None:
    def manage(*words: str) -> str:
        return managed(tmp_path / "run", *words)

    with RunningDaemon(tmp_path, '[log]\nformat = "json"') as daemon:
        place = f"test+unix:///default?socket={daemon.run}/libvirt-sock"
        with subprocess.Popen(["virsh", "-c", place, "event", "--all"], stdout=subprocess.DEVNULL) as client:
            deadline = time.monotonic() + 20
            while not (found := json.loads(manage("clients", "--json"))):
                assert time.monotonic() < deadline
            assert found[0]["about"]["unix_process_id"] == client.pid
            number = str(found[0]["number"])
            assert f"unix process id  {client.pid}" in manage("client", number)
            assert manage("disconnect", number) == f"client {number} is disconnected\n"
        assert f"no client {number}" in manage("client", number)
        assert manage("limits", "--clients", "9", "--waiting", "3") == "clients  0 of 9\nwaiting  0 of 3\n"
        assert "filters  1:wire" in manage("log", "--filters", "1:wire")
        daemon.virsh("domstate", "nosuch")
        told = [json.loads(line) for line in daemon.said().splitlines()]
        failed = next(each for each in told if "error" in each)
        assert failed["procedure"] == "domain_lookup_by_name"
        assert failed["error"] == "no domain 'nosuch'"
        assert failed["seconds"] < 5
        assert failed["level"] == "debug"
        assert "does not listen for TLS" in manage("renew-tls")


# Others


def test_what_a_user_may_do_is_found_by_their_socket(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    access = (
        '[access]\ndefault = "none"\n[[access.grants]]\nrole = "operator"\ngroups = ["4711"]\n'
        '[[access.grants]]\nrole = "viewer"\nusers = ["65534"]'
    )
    folder = Path(tempfile.mkdtemp(prefix="vmherd-doors-"))  # pytest's own is closed to others
    folder.chmod(0o755)
    daemon = RunningDaemon(folder)
    daemon.sockets = "mode = 0o666"
    daemon.configure(access)

    def as_somebody(*who: str, action: str) -> str:
        place = f"test+unix:///default?socket={daemon.run}/libvirt-sock"
        words = ["setpriv", *who, "virsh", "-c", place, action, "test"]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=20, env={"HOME": "/", "PATH": os.environ["PATH"]}
        )
        return done.stdout + done.stderr

    try:
        with daemon:
            viewer = ("--reuid=65534", "--regid=65534", "--clear-groups")
            operator = ("--reuid=65534", "--regid=65534", "--groups=4711")
            assert "running" in as_somebody(*viewer, action="domstate")
            assert "domain_suspend needs domain:suspend" in as_somebody(*viewer, action="suspend")
            assert "suspended" in as_somebody(*operator, action="suspend")
            assert "connect_open needs" in as_somebody(
                "--reuid=4712", "--regid=4712", "--clear-groups", action="domstate"
            )
    finally:
        shutil.rmtree(folder)


def test_the_host_can_start_it_by_systemd_or_rc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vmherd.daemon import units

    written = units.install(system=True, folder=tmp_path)
    assert [path.name for path in written] == [
        "vmherd.service",
        "vmherd.socket",
        "vmherd-ro.socket",
        "vmherd-admin.socket",
    ]
    texts = "".join(path.read_text() for path in written)
    assert f"ExecStart={sys.executable} -m vmherd daemon\n" in texts
    assert not re.search(r"@\w+@", texts)
    if verify := shutil.which("systemd-analyze"):
        done = subprocess.run([verify, "verify", *written], capture_output=True, text=True)
        assert str(tmp_path) not in done.stderr
    monkeypatch.setattr(sys, "platform", "freebsd14")
    (script,) = units.install(system=True, folder=tmp_path)
    assert subprocess.run(["sh", "-n", script]).returncode == 0
