"""Sets every limit on a control group of the machine it runs on, and prints what the kernel has then, as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from vmherd.util.cgroup import limits
from vmherd.util.cgroup.group import Group
from vmherd.util.cgroup.layout import detect

MIB = 1 << 20
THREADS = "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); print(flush=True)"


def main() -> None:
    group = Group(detect(), "machine/web")
    group.create()
    child = subprocess.Popen([sys.executable, "-c", THREADS], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    group.add(child.pid)
    first, second = sorted(int(tid) for tid in os.listdir(f"/proc/{child.pid}/task"))
    limits.set_cpu_shares(group, 512)
    limits.set_cpu_quota(group, 50000, 20000)
    limits.set_memory(group, 100 * MIB, 50 * MIB, 150 * MIB)
    emulator, vcpu = group.threads("emulator"), group.threads("vcpu0")
    emulator.add_thread(first)
    vcpu.add_thread(second)
    limits.set_cpu_quota(vcpu, None, 10000)
    names = {"cpu": ("cpu.max", "cpu.weight"), "memory": ("memory.max", "memory.high", "memory.swap.max")}
    told = {name: group.read(part, name).strip() for part, files in names.items() for name in files}
    told["vcpu0"] = vcpu.read("cpu", "cpu.max").strip()
    told["vcpu0 has its thread"] = vcpu.read("cpu", "cgroup.threads").split() == [str(second)]
    time.sleep(0.05)
    child.kill()
    child.wait()
    group.remove()
    told["left"] = [str(folder) for folder in group.folders if folder.exists()]
    print("limits:", json.dumps(told))


main()
