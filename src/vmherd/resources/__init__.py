"""What guests need of the host beside processor and memory, each with a driver of its own."""
