"""How a guest's share of the host is set: its control group, its threads, its vCPUs, its bandwidth."""
