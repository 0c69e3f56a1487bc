"""libvirt's wire protocol, the daemon's end.

server      the clients, and what they are offered
gate        sockets that clients connect to, and how many may come at once
client      one client: its messages, its limits, its streams and callbacks
terms       who clients are, what they may have at once, what they are offered
dispatch    which function answers which procedure
handlers/   those functions, by subject
events      what happens, to whom it was promised
streams     bytes of consoles, screens and volumes
failure     errors as the protocol tells them
hosts       the drivers behind, shared by all clients
"""
