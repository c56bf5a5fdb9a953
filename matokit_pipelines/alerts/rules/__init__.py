"""The rules, one a file: each turns windows of events into findings. Not here: when each is evaluated (evaluation.py),
what follows of a verdict (lifecycle.py)."""
