"""libvirt's wire protocol, for both ends.

tables/     which programs, procedures and types there are; ``protocol`` reads them
xdr         values to bytes and back, made from a type's description
packet      messages: their header, and finding their ends in a stream of bytes
channel     bytes and file descriptors over a socket
caller      the client's end: calls, events, streams
failure     error replies as exceptions

The daemon's end is in ``daemon/wire``.  Source: https://libvirt.org/kbase/internals/rpc.html and RFC 4506 (XDR).
"""
