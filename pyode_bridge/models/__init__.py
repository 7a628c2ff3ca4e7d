"""Models built on `pyode_bridge.odeint`; ``import pyode_bridge`` alone does not load them."""

from pyode_bridge.models.cnf import CNF, Transport
from pyode_bridge.models.flow_distribution import FlowDistribution, InverseFlow
from pyode_bridge.models.flow_dynamics import ConcatSquash, ConcatSquashLinear, GatedSum
from pyode_bridge.models.planar_flow import PlanarFlow
from pyode_bridge.models.regularisers import JacobianFrobenius, KineticEnergy
from pyode_bridge.models.traces import BruteForceTrace, ClosedFormTrace, ExactTrace, HutchinsonTrace

__all__ = [
    "CNF",
    "BruteForceTrace",
    "ClosedFormTrace",
    "ConcatSquash",
    "ConcatSquashLinear",
    "ExactTrace",
    "FlowDistribution",
    "GatedSum",
    "HutchinsonTrace",
    "InverseFlow",
    "JacobianFrobenius",
    "KineticEnergy",
    "PlanarFlow",
    "Transport",
]
