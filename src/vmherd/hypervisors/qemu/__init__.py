"""QEMU guests.  Where things are:

driver, operations/      what each operation does, by subject; all rest on ``connection``
workshop                 where documents become machines
capabilities, probe      what a binary can do
machine, board           which machine it is, and what it brings
complete, address/       what a document leaves open: defaults, controllers, a place for each device
validate, rules/         what is refused, by subject
command/                 the arguments, a module per device family; pure
startup/                 what a start takes from the host and writes into the document; begin with ``start``
host/                    this machine: accelerators, firmware, memory, devices, and the documents that describe it
helpers/                 processes beside QEMU: swtpm, virtiofsd, passt, ...
keeper, life, monitor    a guest that runs; ``agent``, ``console``, ``lines`` talk with it
pulse, exchange          questions to guests that keep nobody waiting; statistics/ is made of the answers
madeup/                  the same on the made-up host of conformance cases
"""
