"""Bringing a guest up: what a start takes from the host and writes into the document."""
