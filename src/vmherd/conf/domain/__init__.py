"""The domain document: what a guest is made of, as libvirt writes it.

``parse_domain`` reads it, ``complete`` fills in what libvirt fills in for every hypervisor, ``check`` raises when it
contradicts itself, ``render_domain`` writes it.
"""
