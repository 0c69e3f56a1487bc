"""CPU models and features: what hosts have, what guests ask for, and how the two go together.

``data`` holds the facts, ``x86`` the architecture with many features, ``ppc64``, ``arm`` and ``s390`` the others;
``architecture`` says what each can do and finds the one for a name.
"""
