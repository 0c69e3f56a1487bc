"""What a guest's agent tells of the inside of the guest, as libvirt tells it."""
