"""The host's end of guests' network cards.

ports      the card's place in a virtual network, asked of the network driver
hostend    from a card to the descriptors that QEMU gets: a tap device, in a bridge or a switch, or a macvtap device
filters    the network filter that guards a card, asked of the filter driver
change     what changes while the guest runs: its cable, its place, its bandwidth
notes      what must be taken back when the card goes, noted before it is made; release does it
"""
