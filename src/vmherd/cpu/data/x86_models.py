"""Models of x86 CPUs: the features that guests of such a model see, by the names of ``x86_features``.

A model is told by the one it resembles (``base``), what it has more and what it lacks.  What QEMU gives a model
beyond that is named feature by feature in documents, so that a model means the same with every version of QEMU.
Sources: the CPU definitions of QEMU 7.2 (query-cpu-model-expansion); CPUID of the processors, as their makers
publish it; AMD, Revision Guides, and Intel, Specification Updates, for the signatures.
"""

from __future__ import annotations

from typing import NamedTuple

#: (family, model, first stepping, last stepping)
Stepped = tuple[int, int, int, int]


class Entry(NamedTuple):
    """One model.

    ``gone`` are features that QEMU once gave the model and does no longer; each is named in a guest's document.
    ``told`` says whether a host ("host"), a guest ("guest"), both or none may be described by this model.
    """

    name: str
    base: str = ""
    more: str = ""
    less: str = ""
    vendor: str = ""
    signatures: tuple[Stepped, ...] = ()
    told: str = "host guest"
    gone: str = ""


def _of(family: int, *models: int, steppings: tuple[int, int] = (0, 15)) -> tuple[Stepped, ...]:
    return tuple((family, model, *steppings) for model in models)


_PENTIUM_PRO = "fpu de pse tsc msr pae mce cx8 apic sep pge cmov pat mmx fxsr sse sse2"
_HASWELL = "fma pcid movbe fsgsbase bmi1 avx2 smep bmi2 erms invpcid"
_AVX512 = "avx512f avx512dq clwb avx512cd avx512bw avx512vl pdpe1gb"
_ICE_LAKE = "avx512vbmi umip pku avx512vbmi2 gfni vaes vpclmulqdq avx512vnni avx512bitalg avx512-vpopcntdq"

_GENERIC = (
    Entry("486", more="fpu vme pse"),
    Entry("pentium", "486", "de tsc msr mce cx8 mmx"),
    Entry("pentium2", "pentium", "pae apic sep mtrr pge mca cmov pat pse36 fxsr"),
    Entry("pentium3", "pentium2", "sse"),
    Entry("pentiumpro", more=_PENTIUM_PRO),
    Entry("coreduo", "pentiumpro", "vme mtrr mca clflush pni monitor nx", vendor="Intel"),
    Entry("n270", "coreduo", "ssse3", vendor="Intel"),
    Entry("core2duo", "n270", "pse36 syscall lm", vendor="Intel"),
    Entry("qemu32", "pentiumpro", "pni"),
    Entry("kvm32", "qemu32", "mtrr mca pse36 clflush"),
    Entry("cpu64-rhel5", "kvm32", "syscall nx lm", told=""),
    Entry("cpu64-rhel6", "cpu64-rhel5", "cx16 lahf_lm", told=""),
    Entry("qemu64", "kvm32", "cx16 syscall nx lm svm"),
    Entry("kvm64", "kvm32", "cx16 syscall nx lm"),
)

_CORE = (
    Entry("Conroe", "kvm32", "ssse3 syscall nx lm lahf_lm", vendor="Intel", signatures=_of(6, 15, 22)),
    Entry("Penryn", "Conroe", "cx16 sse4.1", vendor="Intel", signatures=_of(6, 23, 29)),
    Entry("Nehalem", "Penryn", "sse4.2 popcnt", vendor="Intel", signatures=_of(6, 26, 30, 31, 46)),
    Entry("Nehalem-IBRS", "Nehalem", "spec-ctrl", vendor="Intel", signatures=_of(6, 26, 30, 31, 46)),
    Entry("Westmere", "Nehalem", "aes", vendor="Intel", signatures=_of(6, 37, 44, 47)),
    Entry("Westmere-IBRS", "Westmere", "spec-ctrl", vendor="Intel", signatures=_of(6, 37, 44, 47)),
    Entry(
        "SandyBridge",
        "Westmere",
        "pclmuldq x2apic tsc-deadline xsave avx rdtscp",
        vendor="Intel",
        signatures=_of(6, 42, 45),
    ),
    Entry("SandyBridge-IBRS", "SandyBridge", "spec-ctrl", vendor="Intel", signatures=_of(6, 42, 45)),
    Entry(
        "IvyBridge",
        "SandyBridge",
        "vme f16c rdrand fsgsbase smep erms",
        vendor="Intel",
        signatures=_of(6, 58, 62),
    ),
    Entry("IvyBridge-IBRS", "IvyBridge", "spec-ctrl", vendor="Intel", signatures=_of(6, 58, 62)),
    Entry("Haswell-noTSX", "SandyBridge", _HASWELL, vendor="Intel", signatures=_of(6, 60, 63, 69, 70)),
    Entry("Haswell-noTSX-IBRS", "Haswell-noTSX", "spec-ctrl", vendor="Intel", signatures=_of(6, 60, 63, 69, 70)),
    Entry("Haswell", "Haswell-noTSX", "hle rtm", vendor="Intel", signatures=_of(6, 60, 63, 69, 70)),
    Entry("Haswell-IBRS", "Haswell", "spec-ctrl", vendor="Intel", signatures=_of(6, 60, 63, 69, 70)),
    Entry(
        "Broadwell-noTSX",
        "Haswell-noTSX",
        "rdseed adx smap 3dnowprefetch",
        vendor="Intel",
        signatures=_of(6, 61, 71, 79, 86),
    ),
    Entry("Broadwell-noTSX-IBRS", "Broadwell-noTSX", "spec-ctrl", vendor="Intel", signatures=_of(6, 61, 71, 79, 86)),
    Entry("Broadwell", "Broadwell-noTSX", "hle rtm", vendor="Intel", signatures=_of(6, 61, 71, 79, 86)),
    Entry("Broadwell-IBRS", "Broadwell", "spec-ctrl", vendor="Intel", signatures=_of(6, 61, 71, 79, 86)),
)

#: Kaby Lake and Coffee Lake (142, 158) have no model of their own.
_SKYLAKE_CLIENT = _of(6, 78, 94, 142, 158)
_SKYLAKE_SERVER = _of(6, 85, steppings=(0, 4))
_CASCADE_LAKE = _of(6, 85, steppings=(5, 7))
_ICE_LAKE_SERVER = _of(6, 106, 108)

_SKYLAKE = (
    Entry(
        "Skylake-Client",
        "Broadwell",
        "vme f16c rdrand arat mpx xsaveopt xsavec xgetbv1 abm",
        vendor="Intel",
        signatures=_SKYLAKE_CLIENT,
    ),
    Entry("Skylake-Client-IBRS", "Skylake-Client", "spec-ctrl", vendor="Intel", signatures=_SKYLAKE_CLIENT),
    Entry(
        "Skylake-Client-noTSX-IBRS",
        "Skylake-Client-IBRS",
        less="hle rtm",
        vendor="Intel",
        signatures=_SKYLAKE_CLIENT,
        told="host",
    ),
    Entry("Skylake-Server", "Skylake-Client", _AVX512, vendor="Intel", signatures=_SKYLAKE_SERVER),
    Entry("Skylake-Server-IBRS", "Skylake-Server", "spec-ctrl", vendor="Intel", signatures=_SKYLAKE_SERVER),
    Entry(
        "Skylake-Server-noTSX-IBRS",
        "Skylake-Server-IBRS",
        less="hle rtm",
        vendor="Intel",
        signatures=_SKYLAKE_SERVER,
        told="host",
    ),
    Entry(
        "Cascadelake-Server",
        "Skylake-Server-IBRS",
        "clflushopt avx512vnni ssbd",
        vendor="Intel",
        signatures=_CASCADE_LAKE,
    ),
    Entry(
        "Cascadelake-Server-noTSX",
        "Cascadelake-Server",
        less="hle rtm",
        vendor="Intel",
        signatures=_CASCADE_LAKE,
        told="host",
    ),
    Entry(
        "Icelake-Client",
        "Skylake-Client-IBRS",
        f"{_ICE_LAKE} ssbd wbnoinvd",
        vendor="Intel",
        signatures=_of(6, 125, 126),
        gone="intel-pt",
    ),
    Entry(
        "Icelake-Client-noTSX",
        "Icelake-Client",
        less="hle rtm",
        vendor="Intel",
        signatures=_of(6, 125, 126),
        told="host",
        gone="intel-pt",
    ),
    Entry(
        "Icelake-Server",
        "Cascadelake-Server",
        f"{_ICE_LAKE} la57 wbnoinvd",
        vendor="Intel",
        signatures=_ICE_LAKE_SERVER,
        gone="intel-pt",
    ),
    Entry(
        "Icelake-Server-noTSX",
        "Icelake-Server",
        less="hle rtm",
        vendor="Intel",
        signatures=_ICE_LAKE_SERVER,
        told="host",
        gone="intel-pt",
    ),
    Entry(
        "Cooperlake",
        "Cascadelake-Server",
        "pku stibp arch-capabilities avx512-bf16 rdctl-no ibrs-all skip-l1dfl-vmentry mds-no pschange-mc-no taa-no",
        less="mpx",
        vendor="Intel",
        signatures=_of(6, 85, steppings=(10, 11)),
    ),
    Entry(
        "Snowridge",
        "Westmere",
        "vme pclmuldq x2apic movbe tsc-deadline xsave rdrand arat fsgsbase smep erms mpx rdseed smap clflushopt clwb "
        "sha-ni umip gfni cldemote movdiri movdir64b spec-ctrl arch-capabilities core-capability ssbd xsaveopt xsavec "
        "xgetbv1 pdpe1gb rdtscp 3dnowprefetch split-lock-detect",
        vendor="Intel",
        signatures=_of(6, 134),
    ),
)

_AMD = (
    Entry("athlon", "pentiumpro", "vme mtrr pse36 mmxext 3dnowext 3dnow", vendor="AMD"),
    Entry(
        "phenom",
        "kvm32",
        "vme monitor syscall nx mmxext fxsr_opt lm 3dnowext 3dnow svm",
        vendor="AMD",
    ),
    Entry("Opteron_G1", "kvm32", "syscall nx lm", vendor="AMD", signatures=_of(15, 6)),
    Entry("Opteron_G2", "Opteron_G1", "cx16 rdtscp lahf_lm svm", vendor="AMD", signatures=_of(15, 6)),
    Entry(
        "Opteron_G3",
        "Opteron_G2",
        "popcnt abm sse4a misalignsse",
        vendor="AMD",
        signatures=_of(16, 2),
        gone="monitor",
    ),
    Entry(
        "Opteron_G4",
        "Opteron_G3",
        "pclmuldq ssse3 sse4.1 sse4.2 aes xsave avx pdpe1gb 3dnowprefetch xop fma4",
        vendor="AMD",
        signatures=_of(21, 1),
    ),
    Entry("Opteron_G5", "Opteron_G4", "fma f16c tbm", vendor="AMD", signatures=_of(21, 2)),
    Entry(
        "EPYC",
        "Opteron_G3",
        "vme pclmuldq ssse3 fma sse4.1 sse4.2 movbe aes xsave avx f16c rdrand arat fsgsbase bmi1 avx2 smep bmi2 rdseed "
        "adx smap clflushopt sha-ni xsaveopt xsavec xgetbv1 mmxext fxsr_opt pdpe1gb cr8legacy 3dnowprefetch osvw",
        vendor="AMD",
        signatures=_of(23, 1),
    ),
    Entry("EPYC-IBPB", "EPYC", "ibpb", vendor="AMD", signatures=_of(23, 1)),
    Entry(
        "EPYC-Rome",
        "EPYC-IBPB",
        "clwb umip rdpid perfctr_core clzero xsaveerptr wbnoinvd amd-stibp npt nrip-save",
        vendor="AMD",
        signatures=_of(23, 49),
    ),
    Entry(
        "EPYC-Milan",
        "EPYC-Rome",
        "pcid erms invpcid pku fsrm ibrs amd-ssbd svme-addr-chk",
        vendor="AMD",
        signatures=_of(25, 1),
    ),
    Entry("Dhyana", "EPYC-IBPB", less="pclmuldq aes sha-ni", vendor="Hygon", signatures=_of(24, 0, 1, 2)),
)

#: All models, older ones first.
MODELS = (*_GENERIC, *_CORE, *_SKYLAKE, *_AMD)
