"""The made-up host of conformance cases."""
