"""Feature bits of x86 CPUs: where CPUID or a model-specific register shows each of them.

The names are libvirt's.  A string lists the bits of a register from bit 0; ``-`` is a bit without a name here.
Sources: Intel, Software Developer's Manual, volume 2A, CPUID, and volume 4; AMD, Architecture Programmer's Manual,
volume 3, appendix E.
"""

from __future__ import annotations

#: (leaf, subleaf, register, names); the order is that in which features are listed.
CPUID = (
    (
        0x1, 0, "edx",
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - ds acpi mmx fxsr sse "
        "sse2 ss ht tm ia64 pbe",
    ),
    (
        0x1, 0, "ecx",
        "pni pclmuldq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid - fma cx16 xtpr pdcm - pcid dca sse4.1 sse4.2 "
        "x2apic movbe popcnt tsc-deadline aes xsave osxsave avx f16c rdrand hypervisor",
    ),
    (0x6, 0, "eax", "- - arat"),
    (
        0x7, 0, "ebx",
        "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cmt - mpx - avx512f avx512dq rdseed adx "
        "smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er avx512cd sha-ni avx512bw avx512vl",
    ),
    (
        0x7, 0, "ecx",
        "- avx512vbmi umip pku ospke waitpkg avx512vbmi2 - gfni vaes vpclmulqdq avx512vnni avx512bitalg - "
        "avx512-vpopcntdq - la57 - - - - - rdpid - bus-lock-detect cldemote - movdiri movdir64b - sgxlc pks",
    ),
    (
        0x7, 0, "edx",
        "- - avx512-4vnniw avx512-4fmaps fsrm - - - avx512-vp2intersect - md-clear - - - serialize - tsx-ldtrk - "
        "pconfig arch-lbr - - amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp - arch-capabilities "
        "core-capability ssbd",
    ),
    (0x7, 1, "eax", "- - - - avx-vnni avx512-bf16"),
    (0xD, 1, "eax", "xsaveopt xsavec xgetbv1 xsaves xfd"),
    (0xF, 1, "edx", "- mbm_total mbm_local"),
    (0x14, 0, "ecx", "- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - intel-pt-lip"),
    (
        0x80000001, 0, "edx",
        "- - - - - - - - - - - syscall - - - - - - - - nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow",
    ),
    (
        0x80000001, 0, "ecx",
        "lahf_lm cmp_legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp "
        "fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb",
    ),
    (0x80000007, 0, "edx", "- - - - - - - - invtsc"),
    (
        0x80000008, 0, "ebx",
        "clzero - xsaveerptr - - - - - - wbnoinvd - - ibpb - ibrs amd-stibp - - - - - - - - amd-ssbd virt-ssbd "
        "amd-no-ssb",
    ),
    (
        0x8000000A, 0, "edx",
        "npt lbrv svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists - - pause-filter - pfthreshold "
        "avic - v-vmsave-vmload vgif - - - - - - - - - - - svme-addr-chk",
    ),
)  # fmt: skip

#: (index, names of the low half's bits) of model-specific registers.
MSR = (
    (0x10A, "rdctl-no ibrs-all rsba skip-l1dfl-vmentry ssb-no mds-no pschange-mc-no tsx-ctrl taa-no"),
    (0xCF, "- - - - - split-lock-detect"),
)

#: A guest that uses one of these cannot move to another host.
UNMIGRATABLE = frozenset({"invtsc"})

#: What CPUID leaf 0 says in EBX, EDX, ECX, by the vendor's name.
VENDORS = {"Intel": "GenuineIntel", "AMD": "AuthenticAMD", "Hygon": "HygonGenuine"}
