"""What this host answers when it is asked about itself, read from what Linux shows below a root folder."""
