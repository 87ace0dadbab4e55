"""What pages show, computed: explanations, how they agree, what speed is."""
