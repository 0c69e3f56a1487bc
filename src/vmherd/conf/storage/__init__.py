"""Storage pools and their volumes.

pool = parse_pool(text)            completed: names, paths and formats as libvirt fills them in
volume = parse_volume(text, pool)  a volume of that pool
render(pool)                       text again
"""

from vmherd.conf.storage.pool import Pool, PoolType, parse_pool, render_pool
from vmherd.conf.storage.volume import Volume, VolumeType, parse_volume, renamed
from vmherd.util.xmlmodel import render

__all__ = ["Pool", "PoolType", "Volume", "VolumeType", "parse_pool", "parse_volume", "renamed", "render", "render_pool"]
