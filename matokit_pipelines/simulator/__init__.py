"""Simulated machines, and Matomo as it really behaves, fed from them. Imports nothing of ours from elsewhere."""

from matokit_pipelines.simulator.truth import Truth, generate

__all__ = ["Truth", "generate"]
