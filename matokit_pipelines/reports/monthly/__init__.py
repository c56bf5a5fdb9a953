"""The monthly system compatibility report for the product team."""
