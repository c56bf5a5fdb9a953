"""Simulated machines, and Matomo and Piwik PRO as they really behave, fed from them. Imports nothing else of ours."""

from matokit_pipelines.simulator.faults import Faults
from matokit_pipelines.simulator.incidents import Incident
from matokit_pipelines.simulator.matomo_server import MatomoSimulator
from matokit_pipelines.simulator.matomo_web import WebTruth
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions, PiwikProFaults
from matokit_pipelines.simulator.piwik_pro_server import PiwikProSimulator
from matokit_pipelines.simulator.piwik_pro_store import OTHER_SLOTS, SAME_SLOTS, Dimension
from matokit_pipelines.simulator.truth import Truth, generate

__all__ = [
    "OTHER_SLOTS",
    "SAME_SLOTS",
    "Assumptions",
    "Dimension",
    "Faults",
    "Incident",
    "MatomoSimulator",
    "PiwikProFaults",
    "PiwikProSimulator",
    "Truth",
    "WebTruth",
    "generate",
]
