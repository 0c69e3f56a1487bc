"""CPU models and features: describing, comparing and combining CPUs of hosts and guests."""

from __future__ import annotations

import pytest

from vmherd.conf.domain.completion import complete_cpu
from vmherd.conf.domain.cpu import Cpu, FeaturePolicy
from vmherd.cpu.architecture import Comparison, architecture, baseline
from vmherd.cpu.definition import Definition, read
from vmherd.cpu.x86.cpuid import CpuData, eax_of, from_document, from_properties, qemu_name, signature_of
from vmherd.cpu.x86.decode import describe
from vmherd.cpu.x86.map import Signature, x86_map
from vmherd.errors import DocumentError, NotSupported, Unsupported
from vmherd.util.xmlmodel import parse

X86 = architecture("x86_64")
PPC = architecture("ppc64le")


def host(model: str, *features: str, vendor: str | None = "Intel", arch: str = "x86_64") -> Definition:
    names = dict.fromkeys(features, FeaturePolicy.REQUIRE)
    return Definition(model=model, vendor=vendor, features=names, arch=arch, is_host=True)


def guest(text: str) -> Cpu:
    cpu = parse(Cpu, text)
    complete_cpu(cpu)
    return cpu


def told(cpu: Cpu) -> tuple[str, dict[str, str]]:
    """The model, and the features that are named besides."""
    return cpu.model.name if cpu.model else "", {each.name: str(each.policy) for each in cpu.features}


def test_every_model_has_known_features_and_a_known_vendor() -> None:
    known = x86_map()
    assert "Skylake-Client-IBRS" in X86.models()
    for model in known.models.values():
        assert all(name in known for name in (*model.features, *model.gone)), model.name
        assert model.vendor in ("", *known.vendors)


@pytest.mark.parametrize(
    ("eax", "signature"),
    [
        (0x000506E3, Signature(6, 94, 3)),  # Skylake: the model's high bits count
        (0x00100F42, Signature(16, 4, 2)),  # Phenom: the family goes on from 15
        (0x00A20F10, Signature(25, 33, 0)),
        (0x00000543, Signature(5, 4, 3)),
    ],
)
def test_a_signature_is_taken_apart_and_put_together(eax: int, signature: Signature) -> None:
    assert signature_of(eax) == signature
    assert eax_of(signature) == eax


def test_cpuid_leaves_and_registers_name_features_vendor_and_signature() -> None:
    data = from_document(
        """<cpudata arch='x86'>
          <cpuid eax_in='0x0' ecx_in='0x0' eax='0x16' ebx='0x756e6547' ecx='0x6c65746e' edx='0x49656e69'/>
          <cpuid eax_in='0x1' ecx_in='0x0' eax='0x506e3' ebx='0x0' ecx='0x1' edx='0x2000000'/>
          <cpuid eax_in='0xd' ecx_in='0x1' eax='0x8' ebx='0x0' ecx='0x0' edx='0x0'/>
          <msr index='0x10a' edx='0x0' eax='0x3'/>
        </cpudata>"""
    )
    assert data == CpuData(frozenset({"sse", "pni", "xsaves", "rdctl-no", "ibrs-all"}), "Intel", Signature(6, 94, 3))


def test_what_qemu_reports_is_read_by_qemus_names() -> None:
    properties = {"pclmulqdq": True, "tsc-adjust": True, "sse4.1": True, "svm": False, "no-such-bit": True}
    data = from_properties(properties | {"vendor": "AuthenticAMD", "family": 23, "model": 49, "stepping": 0})
    assert data == CpuData(frozenset({"pclmuldq", "tsc_adjust", "sse4.1"}), "AMD", Signature(23, 49, 0))
    assert qemu_name("ds_cpl") == "ds-cpl"
    assert qemu_name("avx512-bf16") == "avx512-bf16"


def test_a_cpu_is_described_by_the_model_that_differs_least() -> None:
    found = describe(CpuData(x86_map().models["Haswell-noTSX"].features | {"vme", "invtsc"}, "Intel"))
    assert (found.model.name, found.more, found.less) == ("Haswell-noTSX", ["vme", "invtsc"], [])


def test_a_host_is_never_described_by_a_model_it_lacks_something_of() -> None:
    features = x86_map().models["Westmere"].features - {"aes"} | {"avx"}
    assert describe(CpuData(features, "Intel"), for_host=True).model.name == "Nehalem"


def test_the_kind_of_cpu_goes_before_a_shorter_list() -> None:
    features = x86_map().models["Skylake-Server"].features
    assert describe(CpuData(features, "Intel", Signature(6, 85, 4))).model.name == "Skylake-Server"
    found = describe(CpuData(features, "Intel", Signature(6, 85, 7)))
    assert found.model.name == "Cascadelake-Server"  # the same family and model, by its stepping
    assert "avx512vnni" in found.less


def test_a_binarys_models_and_what_it_cannot_give_them_limit_the_choice() -> None:
    data = CpuData(x86_map().models["SandyBridge"].features, "Intel", Signature(6, 42, 7))
    assert describe(data, offer={"qemu64": (), "Westmere": ()}).model.name == "Westmere"
    assert describe(data, offer={"SandyBridge": ["xsaveopt"]}).less == ["xsaveopt"]
    with pytest.raises(DocumentError, match="no known CPU model"):
        describe(data, offer={"max": ()})


def test_transactional_memory_that_microcode_switched_off_does_not_count() -> None:
    features = x86_map().models["Haswell"].features
    assert describe(CpuData(features, "Intel", Signature(6, 63, 2))).model.name == "Haswell-noTSX"
    assert describe(CpuData(features, "Intel", Signature(6, 63, 4))).model.name == "Haswell"


@pytest.mark.parametrize(
    ("xml", "result"),
    [
        ("<cpu match='exact'><model>Nehalem</model></cpu>", Comparison.SUPERSET),
        ("<cpu match='strict'><model>Nehalem</model></cpu>", Comparison.INCOMPATIBLE),
        (
            "<cpu match='strict'><model>Nehalem</model><feature name='vmx' policy='optional'/></cpu>",
            Comparison.IDENTICAL,
        ),
        ("<cpu><model>Westmere</model></cpu>", Comparison.INCOMPATIBLE),
        ("<cpu><model>Westmere</model><feature name='aes' policy='disable'/></cpu>", Comparison.SUPERSET),
        ("<cpu><model>Nehalem</model><feature name='aes' policy='force'/></cpu>", Comparison.SUPERSET),
        ("<cpu><model>Nehalem</model><feature name='vmx' policy='forbid'/></cpu>", Comparison.INCOMPATIBLE),
        ("<cpu><model>Nehalem</model><vendor>AMD</vendor></cpu>", Comparison.INCOMPATIBLE),
        ("<cpu><arch>aarch64</arch><model>Nehalem</model></cpu>", Comparison.INCOMPATIBLE),
    ],
)
def test_a_host_is_compared_with_what_a_guest_needs(xml: str, result: Comparison) -> None:
    assert X86.compare(host("Nehalem", "vmx"), read(xml)[0]) is result


@pytest.mark.parametrize(
    "xml", ["<cpu><model>Nope</model></cpu>", "<cpu><feature name='nope' policy='optional'/></cpu>"]
)
def test_unknown_names_are_refused(xml: str) -> None:
    with pytest.raises(DocumentError, match=r"(?i)nope"):
        X86.compare(host("Nehalem"), read(xml)[0])


def test_optional_features_become_what_the_host_has() -> None:
    cpu = guest(
        "<cpu><model>Penryn</model><feature name='vmx' policy='optional'/><feature name='svm' policy='optional'/></cpu>"
    )
    X86.update(cpu, host("Nehalem", "vmx"))
    assert told(cpu) == ("Penryn", {"vmx": "require", "svm": "disable"})


def test_the_hosts_model_takes_the_guests_own_wishes() -> None:
    cpu = guest(
        "<cpu mode='host-model'><model fallback='forbid' vendor_id='Twelve chars'/>"
        "<feature name='vmx' policy='disable'/><feature name='avx' policy='force'/></cpu>"
    )
    X86.update(cpu, host("Nehalem", "vmx", "ss"))
    assert told(cpu) == ("Nehalem", {"vmx": "disable", "ss": "require", "avx": "force"})
    assert (str(cpu.mode), str(cpu.match), cpu.vendor) == ("custom", "exact", "Intel")
    assert cpu.model is not None
    assert (str(cpu.model.fallback), cpu.model.vendor_id) == ("forbid", "Twelve chars")


def test_features_that_qemu_dropped_from_a_model_are_named() -> None:
    cpu = guest("<cpu><model>Icelake-Server</model></cpu>")
    X86.update(cpu, host("Icelake-Server"))
    assert told(cpu) == ("Icelake-Server", {"intel-pt": "disable"})


def test_a_model_a_binary_lacks_is_written_as_one_it_has() -> None:
    cpu = guest("<cpu><model>Haswell-noTSX</model><feature name='vmx' policy='require'/></cpu>")
    X86.translate(cpu, {"Haswell": (), "qemu64": ()})
    assert told(cpu) == ("Haswell", {"vmx": "require", "hle": "disable", "rtm": "disable"})
    strict = guest("<cpu><model fallback='forbid'>Haswell-noTSX</model></cpu>")
    with pytest.raises(Unsupported, match="no other may stand in"):
        X86.translate(strict, {"Haswell": ()})


def test_a_baseline_has_what_all_share() -> None:
    cpus = [host("Westmere", "vmx", "invtsc", "svm"), host("Nehalem", "vmx", "invtsc", "aes")]
    found = baseline(X86, cpus)
    assert told(found) == ("Westmere", {"vmx": "require", "invtsc": "require"})
    assert found.vendor == "Intel"
    assert "invtsc" not in told(baseline(X86, cpus, migratable=True))[1]
    assert told(baseline(X86, [host("486")], expanded=True)) == ("486", dict.fromkeys(["fpu", "pse", "vme"], "require"))


@pytest.mark.parametrize(
    ("cpus", "says"),
    [
        ([host("Penryn"), host("Opteron_G3", vendor="AMD")], "made by Intel and by AMD"),
        ([host("Penryn"), host("Opteron_G3")], "made by AMD, not by Intel"),
        ([host("Penryn"), Definition(vendor="Intel", is_host=True)], "CPU 2 names no model"),
        ([], "no CPU"),
        ([host("Penryn", vendor="Acme")], "no CPU vendor"),
    ],
)
def test_a_baseline_that_cannot_be_is_refused(cpus: list[Definition], says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        baseline(X86, cpus)


def test_power_compatibility_modes_go_back_in_time_only() -> None:
    power9 = host("POWER9", vendor="IBM", arch="ppc64")
    for mode, result in (("power8", Comparison.IDENTICAL), ("power10", Comparison.INCOMPATIBLE)):
        cpu = read(f"<cpu mode='host-model'><model>{mode}</model></cpu>")[0]
        assert PPC.compare(power9, cpu) is result
    with pytest.raises(DocumentError, match="compatibility mode"):
        PPC.compare(power9, read("<cpu mode='host-model'><model>power7+</model></cpu>")[0])
    old = guest("<cpu><model>POWER7_v2.3</model></cpu>")
    PPC.convert_legacy(old)
    assert told(old) == ("POWER7", {})


def test_an_architecture_nothing_is_known_of_says_so() -> None:
    with pytest.raises(NotSupported, match="'m68k'"):
        architecture("m68k")
    with pytest.raises(NotSupported, match="s390x"):
        architecture("s390x").baseline([host("z14", arch="s390x")])
