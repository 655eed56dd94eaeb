"""Where something is done to machines: the bootstrap is brought to hosts, run there, and its report read."""
