"""Where chunks of work are computed: in this process, in several, on a cluster."""
