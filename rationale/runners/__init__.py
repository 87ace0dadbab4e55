"""Where chunks of work are computed: here, in several processes, on a cluster."""
