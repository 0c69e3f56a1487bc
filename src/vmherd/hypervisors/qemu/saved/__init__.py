"""A guest's memory in files: the format, what carries it there and back, and dumps for debuggers."""
