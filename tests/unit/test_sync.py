"""The blocking API: the same as the asynchronous one, from threads, after a fork, and when interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import vmherd
from vmherd.driver.types import State
from vmherd.errors import Busy, DomainNotFound, InvalidState
from vmherd.events import DomainEvent, Lifecycle

TOOL = Path(__file__).parents[2] / "tools" / "gensync.py"

GUEST = "<domain type='test'><name>{}</name><memory>1024</memory><os><type>hvm</type></os></domain>"


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
    heard: list[DomainEvent] = []
    with vmherd.connect("test:///default") as host:

        def listen() -> None:
            for event in host.events():
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


def test_a_child_process_has_connections_of_its_own() -> None:
    with vmherd.connect("test:///default") as host:
        assert host.domains()
        child = os.fork()
        if child == 0:
            with vmherd.connect("test:///default") as own:
                os._exit(0 if own.domains() else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert host.domains()


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


def test_nothing_is_said_at_exit_with_a_connection_left_open() -> None:
    code = "import vmherd; host = vmherd.connect('test:///default'); events = host.events(); print(len(host.domains()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr, done.returncode) == ("1\n", "", 0)
