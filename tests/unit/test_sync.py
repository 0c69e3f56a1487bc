"""The blocking API: the same as the asynchronous one, from threads, after a fork, and when interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import vmherd
from vmherd.api import bridge
from vmherd.driver.types import State
from vmherd.errors import Busy, DomainNotFound, InvalidState, NotResponding, VmherdError
from vmherd.events import Lifecycle, LifecycleEvent

TOOL = Path(__file__).parents[2] / "tools" / "gensync.py"

GUEST = "<domain type='test'><name>{}</name><memory>1024</memory><os><type>hvm</type></os></domain>"


def in_child(work: Callable[[], object]) -> str:
    """Do ``work`` in a child made by fork, and return what it raised, or ""."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except (VmherdError, AssertionError) as problem:
            os.write(into, f"{type(problem).__name__}: {problem}".encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(into)
    with open(out) as answer:
        said = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return said


def sockets(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_socket()}


class Line:
    """A console over one end of a pair of sockets."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end

    async def read(self, size: int = 65536) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._end, size)

    async def write(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._end, data)

    async def close(self) -> None:
        os.close(self._end.detach())  # fails the second time


@pytest.fixture
def line() -> Iterator[tuple[bridge.Console, socket.socket]]:
    """A console, and the guest's end of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs, bridge.Console(Line(ours)) as console:
        yield console, theirs


def test_the_committed_file_is_what_the_generator_makes() -> None:
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_guest_from_definition_to_the_end() -> None:
    with vmherd.connect("test:///default") as host:
        guest = host.define(GUEST.format("web"))
        guest.start()
        assert host.domain("web").state() is State.RUNNING
        assert [info.name for info in host.domains()] == ["test", "web"]
        guest.poweroff()
        guest.wait_stopped(timeout=1)
        guest.undefine()
        with pytest.raises(DomainNotFound, match="web"):
            host.domain("web")


def test_events_come_until_the_loop_is_left() -> None:
    heard: list[LifecycleEvent] = []
    with vmherd.connect("test:///default") as host:

        def listen() -> None:
            for event in host.events(LifecycleEvent):
                assert isinstance(event, LifecycleEvent)
                heard.append(event)
                if event.event is Lifecycle.STOPPED:
                    return

        thread = threading.Thread(target=listen)
        thread.start()
        guest = host.domain("test")
        while not heard:  # the thread may need a moment to begin
            guest.suspend()
            guest.resume()
        guest.poweroff()
        thread.join(5)
        assert not thread.is_alive()
    assert heard[-1].event is Lifecycle.STOPPED


def test_many_threads_use_one_connection() -> None:
    with vmherd.connect("test:///default") as host, ThreadPoolExecutor(8) as pool:
        guests = list(pool.map(lambda number: host.define(GUEST.format(f"web{number}")), range(40)))
        list(pool.map(lambda guest: guest.start(), guests))
        assert sum(info.active for info in host.domains()) == 41


def test_leaving_an_iteration_early_closes_its_source() -> None:
    closed = threading.Event()

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            closed.set()

    kept = numbers()  # else asyncio closes it when it is dropped
    source = bridge.loop().iterate(kept)
    assert next(source) == 1
    source.close()
    assert closed.is_set()
    assert list(source) == []


def test_an_iteration_collected_inside_the_event_loop_closes_its_source() -> None:
    closed = threading.Event()

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            closed.set()

    async def drop(sources: list[Generator[int, None, None]]) -> None:
        sources.clear()

    kept = numbers()
    sources = [bridge.loop().iterate(kept)]
    next(sources[0])
    began = time.monotonic()
    bridge.loop().run(drop(sources))
    assert closed.wait(5)
    assert time.monotonic() - began < 5


def test_a_child_process_has_connections_of_its_own() -> None:
    def own_connection() -> None:
        with vmherd.connect("test:///default") as own:
            assert [info.name for info in own.domains()] == ["test"]

    with vmherd.connect("test:///default") as host:
        assert host.domains()
        assert in_child(own_connection) == ""
        assert host.domains()


def test_a_child_process_is_told_that_a_connection_is_its_parents() -> None:
    with vmherd.connect("test:///default") as host:
        assert "InvalidState: a connection of the parent process" in in_child(host.domains)


def test_a_child_process_that_leaves_the_block_leaves_its_parents_connection_open(tmp_path: Path) -> None:
    with vmherd.connect(f"qemu:///embed?root={tmp_path}") as host:
        heard: list[LifecycleEvent] = []
        listener = threading.Thread(target=lambda: heard.append(next(host.events())))
        listener.start()
        while not (ears := sockets(tmp_path)):  # the thread may need a moment to begin
            time.sleep(0.01)
        assert in_child(lambda: host.__exit__(None, None, None)) == ""
        assert sockets(tmp_path) == ears
        host.define(GUEST.format("web").replace("'test'", "'qemu'"))
        listener.join(5)
    assert [event.name for event in heard] == ["web"]


def test_an_interrupted_call_ends_at_once_and_the_connection_lives_on() -> None:
    with vmherd.connect("test:///default") as host:
        guest = host.domain("test")
        timer = threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            guest.wait_stopped()
        assert time.monotonic() - began < 5
        assert guest.state() is State.RUNNING


def test_a_wait_that_takes_too_long_says_what_to_do() -> None:
    with vmherd.connect("test:///default") as host, pytest.raises(Busy) as caught:
        host.domain("test").wait_stopped(timeout=0.05)
    assert "vmherd poweroff test" in caught.value.hint


async def test_a_blocking_call_inside_an_event_loop_is_refused() -> None:
    with pytest.raises(InvalidState) as caught:
        vmherd.connect("test:///default")
    assert "aconnect" in caught.value.hint


def test_an_interrupted_call_has_cleaned_up_when_it_returns() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            cleaned.append(True)

    timer = threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        bridge.loop().run(work())
    assert cleaned


def test_a_console_carries_both_directions(line: tuple[bridge.Console, socket.socket]) -> None:
    console, guest = line
    guest.sendall(b"login: ")
    assert console.read(5) == b"login"
    assert console.read() == b": "
    console.write(b"root\n")
    assert guest.recv(100) == b"root\n"
    guest.close()
    assert console.read() == b""


def test_a_silent_guest_is_said_to_be_and_can_still_be_heard_later(line: tuple[bridge.Console, socket.socket]) -> None:
    console, guest = line
    with pytest.raises(NotResponding, match=r"nothing for 0\.05 s"):
        console.read(timeout=0.05)
    guest.sendall(b"at last")
    assert console.read(timeout=5) == b"at last"


def test_closing_a_console_ends_the_read_of_another_thread(line: tuple[bridge.Console, socket.socket]) -> None:
    console, guest = line
    guest.sendall(b"a")
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(lambda: list(iter(console.read, b"")))
        time.sleep(0.1)  # it reads the second time
        console.close()
        assert heard.result(5) == [b"a"]
    assert guest.recv(1) == b""


def exiting(code: str) -> tuple[str, str, int]:
    """Output, errors and exit code of a program, which may not take long to end."""
    program = f"import threading, time, vmherd\nhost = vmherd.connect('test:///default')\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    return done.stdout, done.stderr, done.returncode


def test_nothing_is_said_at_exit_with_a_connection_left_open() -> None:
    assert exiting("events = host.events(); print(len(host.domains()))") == ("1\n", "", 0)


def test_nothing_is_said_at_exit_in_the_midst_of_an_iteration() -> None:
    code = """
threading.Timer(0.2, host.domain('test').suspend).start()
events = host.events()
print(next(events).name)
"""
    assert exiting(code) == ("test\n", "", 0)


def test_a_call_in_a_daemon_thread_cleans_up_at_exit_and_nothing_is_said() -> None:
    code = """
import asyncio
from vmherd.api import bridge
async def work():
    try:
        begun.set()
        await asyncio.sleep(60)
    finally:
        print('cleaned')
begun = threading.Event()
threading.Thread(target=lambda: bridge.loop().run(work()), daemon=True).start()
begun.wait()
"""
    assert exiting(code) == ("cleaned\n", "", 0)


def test_a_call_from_a_handler_at_exit_is_refused() -> None:
    program = """
import atexit, vmherd
atexit.register(lambda: host.domains())
host = vmherd.connect('test:///default')
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert "InvalidState: a blocking call while Python exits" in done.stderr
