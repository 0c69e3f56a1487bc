"""Control groups of Linux, old (v1), new (v2) and both at once: where they are, making one, setting its limits.

Source: Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of Linux.
"""
