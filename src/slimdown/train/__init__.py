"""Making specialists: one file per rung of the ladder, each run in a process of its own."""
