"""The daily component health report for the on-call developer."""
