"""What an alert's message says: evidence from the warehouse, words, Slack blocks, mails and charts.

Not here: whether and to whom something is told (announcing.py), how it gets there (delivery/).
"""
