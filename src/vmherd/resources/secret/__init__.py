"""Secrets: ``driver`` keeps them, ``safe`` encrypts what is written to disk."""
