"""What can be done to a guest, by subject: one part of the driver in each module."""
