"""x86: features by CPUID, and models that sum them up."""
