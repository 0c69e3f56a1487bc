"""This machine as QEMU guests find it: accelerators, firmware, memory, devices, and what it tells of itself."""
