"""The devices of the host: ``driver`` answers, ``tree`` finds them in sysfs, a module per family describes them."""
