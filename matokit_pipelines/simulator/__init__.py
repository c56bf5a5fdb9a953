"""Simulated machines, and Matomo as it really behaves, fed from them. Imports nothing of ours from elsewhere."""

from matokit_pipelines.simulator.faults import Faults
from matokit_pipelines.simulator.incidents import Incident
from matokit_pipelines.simulator.matomo_server import MatomoSimulator
from matokit_pipelines.simulator.truth import Truth, generate

__all__ = ["Faults", "Incident", "MatomoSimulator", "Truth", "generate"]
