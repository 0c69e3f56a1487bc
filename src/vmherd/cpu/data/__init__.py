"""Facts about CPUs, from their makers' public manuals; imported when first asked for."""
