"""Models built on `pyode_bridge.odeint`; ``import pyode_bridge`` alone does not load them."""

from pyode_bridge.models.blocks import Head, Stem
from pyode_bridge.models.cnf import CNF, Transport
from pyode_bridge.models.conv_dynamics import ConcatTimeConv, ConvDynamics
from pyode_bridge.models.encoders import Encoder, GRUEncoder, ODERNNEncoder
from pyode_bridge.models.evaluations import Evaluations
from pyode_bridge.models.flow_distribution import FlowDistribution, InverseFlow
from pyode_bridge.models.flow_dynamics import ConcatSquash, ConcatSquashLinear, GatedSum
from pyode_bridge.models.latent_ode import Elbo, LatentDynamics, LatentODE
from pyode_bridge.models.likelihood import (
    GaussianLikelihood,
    Likelihood,
    OrnsteinUhlenbeckLikelihood,
    PersistentLikelihood,
)
from pyode_bridge.models.mlp import MLP
from pyode_bridge.models.ode_net import ODENet
from pyode_bridge.models.planar_flow import PlanarFlow
from pyode_bridge.models.poisson import PoissonProcess
from pyode_bridge.models.posterior import GaussianPosterior, kl_to_prior
from pyode_bridge.models.regularisers import JacobianFrobenius, KineticEnergy
from pyode_bridge.models.resnet import ResidualBlock, ResNet
from pyode_bridge.models.rk_net import RKNet
from pyode_bridge.models.rnn import AutoregressiveRNN
from pyode_bridge.models.series import Series
from pyode_bridge.models.traces import BruteForceTrace, ClosedFormTrace, ExactTrace, HutchinsonTrace
from pyode_bridge.models.union import gather_times, union_of_times

__all__ = [
    "CNF",
    "MLP",
    "AutoregressiveRNN",
    "BruteForceTrace",
    "ClosedFormTrace",
    "ConcatSquash",
    "ConcatSquashLinear",
    "ConcatTimeConv",
    "ConvDynamics",
    "Elbo",
    "Encoder",
    "Evaluations",
    "ExactTrace",
    "FlowDistribution",
    "GRUEncoder",
    "GatedSum",
    "GaussianLikelihood",
    "GaussianPosterior",
    "Head",
    "HutchinsonTrace",
    "InverseFlow",
    "JacobianFrobenius",
    "KineticEnergy",
    "LatentDynamics",
    "LatentODE",
    "Likelihood",
    "ODENet",
    "ODERNNEncoder",
    "OrnsteinUhlenbeckLikelihood",
    "PersistentLikelihood",
    "PlanarFlow",
    "PoissonProcess",
    "RKNet",
    "ResNet",
    "ResidualBlock",
    "Series",
    "Stem",
    "Transport",
    "gather_times",
    "kl_to_prior",
    "union_of_times",
]
