"""The server: libvirt's wire protocol, and what a long-living process needs around it."""
