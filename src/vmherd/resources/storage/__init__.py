"""Storage pools and volumes.

driver      the driver, which is `pools` and `volumes`: what each operation does, and in which order
stock       what both stand on: the pools that are defined and active, and what was found in them
backends    the types of pools, a module each
folder      pools that are a folder: what is in them
image       making, copying, resizing and wiping images
"""
