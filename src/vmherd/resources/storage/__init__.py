"""Storage pools and volumes.

driver      what each operation does, and in which order
table       the pools that are defined, and those that are active
folder      pools that are a folder: what is in them
image       making, copying, resizing and wiping images
"""
