"""The database: what runs, how far it is, and which checkpoints there are. The bank holds facts, this holds state."""
