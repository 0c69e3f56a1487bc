"""Any host over the wire: a vmherd or a libvirtd, reached by a socket, ssh or TLS.

target      what a connection URI says of the way there
transport   the ways: sockets, ssh, TLS
connection  opening, authentication, keepalive; what all subjects rest on
driver      the driver: connections, lists, and the lives of domains
"""
