"""A guest's CPU when it starts: what it takes from the host, and what of it the binary is told."""

from __future__ import annotations

import pytest

from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.completion import complete_cpu
from vmherd.conf.domain.cpu import CpuCheck, CpuMode, FeaturePolicy
from vmherd.cpu.definition import Definition
from vmherd.cpu.x86.cpuinfo import read_cpuinfo
from vmherd.cpu.x86.map import Signature, x86_map
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.capabilities import Capabilities, CpuFacts
from vmherd.hypervisors.qemu.startup.guestcpu import settle

#: QEMU on a Haswell without TSX, which can give guests the stable clock, but then they cannot move.
FACTS = CpuFacts(
    models={"Haswell": ["hle", "rtm"], "Haswell-noTSX": [], "kvm64": [], "Westmere-v9": []},
    properties={
        **dict.fromkeys(x86_map().models["Haswell-noTSX"].features - {"pclmuldq", "lahf_lm"}, True),
        "pclmulqdq": True,
        "lahf-lm": True,
        "cx16": True,
        "invtsc": True,
        "hypervisor": True,
        "hle": False,
        "svm": False,
        "vendor": "GenuineIntel",
        "family": 6,
        "model": 60,
        "stepping": 3,
    },
    unmigratable=frozenset({"invtsc"}),
)
PROCESSOR = Definition(
    model="Haswell-noTSX", vendor="Intel", features={"vmx": FeaturePolicy.REQUIRE}, arch="x86_64", is_host=True
)


def settled(cpu: str, *, facts: CpuFacts = FACTS, kind: str = "kvm") -> tuple[str, dict[str, str]]:
    """The model and the features of ``cpu`` once it is settled."""
    text = f"<domain type='{kind}'><name>a</name><memory>1</memory><os><type arch='x86_64'>hvm</type></os>{cpu}"
    domain = parse_domain(f"{text}</domain>")
    complete_cpu(domain.cpu)
    assert domain.cpu is not None
    domain.cpu.check = domain.cpu.check or CpuCheck.PARTIAL
    caps = Capabilities(binary="qemu", version=(8, 0, 0), arch="x86_64", cpus={"kvm": facts, "tcg": facts})
    settle(domain, caps, PROCESSOR)
    assert domain.cpu.mode is not CpuMode.HOST_MODEL
    model = domain.cpu.model.name if domain.cpu.model else ""
    return model, {each.name: str(each.policy) for each in domain.cpu.features}


def test_the_hosts_model_is_what_can_migrate() -> None:
    assert settled("<cpu mode='host-model'/>") == ("Haswell-noTSX", {"hypervisor": "require"})
    assert settled("<cpu match='minimum'><model>Nehalem</model></cpu>") == ("Haswell-noTSX", {"hypervisor": "require"})


def test_a_guest_may_ask_for_what_only_the_processor_has() -> None:
    assert settled("<cpu><model>kvm64</model><feature name='vmx' policy='require'/></cpu>") == (
        "kvm64",
        {"vmx": "require"},
    )


def test_what_the_host_lacks_is_refused_where_the_document_wants_it_checked() -> None:
    more = "<cpu check='{}'><model>Haswell-noTSX</model><feature name='avx512f' policy='require'/></cpu>"
    with pytest.raises(Unsupported, match="lacks avx512f"):
        settled(more.format("partial"))
    assert settled(more.format("none")) == ("Haswell-noTSX", {"avx512f": "require"})
    with pytest.raises(Unsupported, match="cannot give the guest"):
        settled("<cpu match='strict'><model>Nehalem</model></cpu>")


def test_features_qemu_has_no_word_for_are_left_out() -> None:
    features = "<feature name='pconfig' policy='disable'/><feature name='cmt' policy='require'/>"
    told = settled(f"<cpu check='none'><model>kvm64</model>{features}<feature name='hle' policy='disable'/></cpu>")
    assert told == ("kvm64", {"hle": "disable"})


def test_a_model_that_only_the_binary_knows_is_passed_on() -> None:
    assert settled("<cpu><model>Westmere-v9</model></cpu>") == ("Westmere-v9", {})


def test_the_host_must_be_known_only_where_the_guest_depends_on_it() -> None:
    silent = CpuFacts(models=FACTS.models)
    assert settled("<cpu><model>kvm64</model></cpu>", facts=silent) == ("kvm64", {})
    for cpu in ("<cpu mode='host-model'/>", "<cpu match='minimum'><model>kvm64</model></cpu>"):
        with pytest.raises(Unsupported, match="does not tell"):
            settled(cpu, facts=silent)


def test_linux_words_for_features_are_understood() -> None:
    text = (
        "processor\t: 0\nvendor_id\t: {}\ncpu family\t: 6\nmodel\t\t: 94\nstepping\t: 3\n"
        "flags\t\t: fpu sse4_1 pclmulqdq tsc_deadline_timer avx512_vnni avx512_vpopcntdq ds_cpl ibrs nopl sha_ni\n\n"
        "processor\t: 1\nflags\t\t: avx\n"
    )
    intel, amd = (read_cpuinfo(text.format(vendor)) for vendor in ("GenuineIntel", "AuthenticAMD"))
    common = {"fpu", "sse4.1", "pclmuldq", "tsc-deadline", "avx512vnni", "avx512-vpopcntdq", "ds_cpl", "sha-ni"}
    assert (intel.features, amd.features) == (common | {"spec-ctrl"}, common | {"ibrs"})
    assert (intel.vendor, intel.signature) == ("Intel", Signature(6, 94, 3))
    assert read_cpuinfo("").features == frozenset()


@pytest.mark.parametrize(
    ("arch", "cpu", "refused"),
    [
        ("riscv64", "<cpu><model>rv64</model></cpu>", ""),
        ("aarch64", "<cpu><model>cortex-a57</model></cpu>", ""),
        ("aarch64", "<cpu mode='host-model'/>", "cannot have the host's model"),
        ("ppc64le", "<cpu><model>POWER7_v2.3</model></cpu>", ""),
        ("ppc64le", "<cpu><model>POWER10</model></cpu>", "has no CPU model 'POWER10'"),
        ("aarch64", "<cpu match='minimum'><model>cortex-a57</model></cpu>", "does not tell"),
    ],
)
def test_qemu_is_trusted_with_cpus_of_other_architectures(arch: str, cpu: str, refused: str) -> None:
    text = f"<domain type='kvm'><name>a</name><memory>1</memory><os><type arch='{arch}'>hvm</type></os>{cpu}</domain>"
    domain = parse_domain(text)
    complete_cpu(domain.cpu)
    facts = CpuFacts(models={"POWER7": []} if arch == "ppc64le" else {})
    caps = Capabilities(binary="qemu", version=(8, 0, 0), arch=arch, cpus={"kvm": facts})
    if refused:
        with pytest.raises(Unsupported, match=refused):
            settle(domain, caps)
        return
    settle(domain, caps)
    assert domain.cpu is not None
    assert domain.cpu.model is not None
    assert domain.cpu.model.name in ("rv64", "cortex-a57", "POWER7")
