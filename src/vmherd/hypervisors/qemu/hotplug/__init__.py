"""Devices of a guest that runs.  Where things are:

running, view        the guest and its document; the document with one device alone
orders, lines        an argument vector as commands of the monitor: one source for the start and for plugging in
attach, place        plugging in: a place, a name, the host's end, QEMU's end, the document
launching, numbers   what a start would decide for it
detach, removal      taking out: asking the guest, and what is to do when it has let go
update               what changes while a device stays
journal, reconcile   what must be known of a change that broke off, and putting it in order
families             what is special to each family, by way of the modules of the larger ones: disks, media (what is
                     in a drive), cards, screens, streams, controllers; and small for the others
"""
