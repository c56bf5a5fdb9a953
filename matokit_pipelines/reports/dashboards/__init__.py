"""The four dashboards and their sixteen widgets."""
