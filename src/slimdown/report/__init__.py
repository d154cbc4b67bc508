"""The report: one frozen value that says what can move, and one page that shows it."""
