"""The pages of a home behind a log-in: overview, reports, dashboards, alerts, the runbook, and a list of the tools.

Not here: making pages (reports/).
"""
