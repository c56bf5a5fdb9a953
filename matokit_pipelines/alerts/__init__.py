"""Alerts: rules over events, the guard, their life cycle, what is told to whom. Knows nothing of Dagster."""
