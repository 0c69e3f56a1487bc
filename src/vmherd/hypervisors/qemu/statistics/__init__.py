"""What a guest has used and done so far: asked of QEMU, the kernel and the images, told by libvirt's names."""
