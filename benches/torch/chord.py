"""CHORD's static and personal stages over SASRec or Caser (docs/method.md), as plain PyTorch."""

import math

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

PALETTE = [0, 2, 4, 8]
LAYERS = ["query", "key", "value", "output", "expand", "contract"]
THRESHOLDS = [math.log((b - a) / (0.25**a - 0.25**b)) for a, b in zip(PALETTE, PALETTE[1:])]


class Linear(nn.Linear):
    """A linear layer that also takes a matrix for each user."""

    def forward(self, x):
        return super().forward(x) if self.weight.dim() == 2 else x @ self.weight.transpose(1, 2) + self.bias


def int8(x):
    """Activations as the device sees them, straight-through."""
    plain = x.detach()
    scale = plain.abs().amax(-1, keepdim=True).clamp_min(2.0**-64) / 127
    return x + ((plain / scale).round() * scale - plain)


def palette_steps(weight, log_range):
    """What each width adds to the one before, [steps, outputs, inputs]; the narrowest has 0 bits."""
    reach = log_range.exp()[:, None]
    scaled = (weight / reach).clamp(-1, 1)
    plain = scaled.detach()
    master = ((plain + 1) * 128).floor().clamp(0, 255)
    values = [torch.zeros_like(weight)]
    for bits in PALETTE[1:]:
        level = ((master / 2 ** (8 - bits)).floor() * 2 + 1) / 2**bits - 1
        values.append(reach * (scaled + (level - plain)))
    return torch.stack([b - a for a, b in zip(values, values[1:])])


def quantise_activations(backbone):
    """Makes the inputs of the quantised layers int8 and lets these take a matrix for each user; their names."""
    if hasattr(backbone, "blocks"):
        names = [f"blocks.{b}.{name}" for b in range(len(backbone.blocks)) for name in LAYERS]
        after = [norm for block in backbone.blocks for norm in [block.norm1, block.norm2]]
        before = [layer for block in backbone.blocks for layer in [block.output, block.contract]]
    else:
        names = [f"horizontal.{h}" for h in range(len(backbone.horizontal))] + ["vertical", "dense", "output"]
        after, before = [backbone.rows], [backbone.dense, backbone.output]
    for module in after:
        module.register_forward_hook(lambda _module, _inputs, output: int8(output))
    for module in before:
        module.register_forward_pre_hook(lambda _module, inputs: int8(inputs[0]))
    for name in names:
        backbone.get_submodule(name).__class__ = Linear
    return names


class Chord(nn.Module):
    """The backbone under learned plans: one for all users, or one for each."""

    def __init__(self, backbone, dim, personal, features=32, hidden=48, rank=2, dropout=0.2):
        super().__init__()
        self.backbone, self.personal, self.rank = backbone, personal, rank
        self.names = [f"{name}.weight" for name in quantise_activations(backbone)]
        weights = [backbone.get_parameter(name) for name in self.names]
        self.outputs = [len(w) for w in weights]
        channels = sum(self.outputs)
        ranges = [torch.minimum(w.abs().amax(1), 2.4 * w.std(1)).log().detach() for w in weights]
        self.log_ranges = nn.ParameterList(ranges)
        self.channel_scores = nn.Parameter(1.5 * torch.randn(channels))
        self.layer_scores = nn.Parameter(torch.zeros(len(weights)))
        sizes = [w.shape[1] for w in weights for _ in w]
        costs = torch.tensor([[n * (b - a) for a, b in zip(PALETTE, PALETTE[1:])] for n in sizes])
        self.register_buffer("costs", costs.flatten())
        self.register_buffer("membership", torch.repeat_interleave(torch.tensor(self.outputs)))
        if personal:
            self.requires_grad_(False)
            self.input = nn.Linear(dim, features)
            self.gru = nn.GRU(features, hidden, batch_first=True)
            self.pooled, self.norm = nn.Linear(features, hidden), nn.LayerNorm(hidden)
            self.filter, self.layer = nn.Linear(hidden, channels), nn.Linear(hidden, len(weights))
            self.element = nn.Linear(hidden, channels * rank)
            self.factors = nn.ParameterList(0.5 * torch.randn(rank, w.shape[1]) for w in weights)
            self.dropout = nn.Dropout(dropout)

    def users(self, profiles, real):
        """User embeddings from profile rows [batch, steps]."""
        features = self.dropout(self.input(self.backbone.items.weight.detach()[profiles] * 8)) * real[..., None]
        total = features.sum(1) / real.sum(1, keepdim=True).clamp_min(1).sqrt()
        return self.dropout(self.norm(self.gru(features)[1][0] + self.pooled(total)))

    def log_scores(self, users):
        shared = (self.channel_scores + self.layer_scores[self.membership])[None]
        if users is None:
            return shared
        squares = [self.backbone.get_parameter(name).detach().square() for name in self.names]
        means = [s @ functional.softplus(f).T / s.sum(1, keepdim=True) for s, f in zip(squares, self.factors)]
        means = torch.cat(means)  # [channels, rank]
        log_importance = lambda x: (functional.softplus(x.unflatten(-1, means.shape)) * means).sum(-1).log()
        element = log_importance(self.element(users)) - log_importance(self.element.bias)
        return shared + self.filter(users) + self.layer(users)[:, self.membership] + element

    def gates(self, scores, budget):
        """Straight-through step gates [batch, channels, steps] of the rate-distortion allocation."""
        margins = scores[..., None] - torch.tensor(THRESHOLDS)
        order = margins.detach().flatten(1).sort(dim=1, descending=True)
        spent = self.costs[order.indices].cumsum(1)
        limit = budget * self.costs.sum() / PALETTE[-1]
        first_over = (spent <= limit).sum(1, keepdim=True).clamp_max(spent.shape[1] - 1)
        margins = margins - order.values.gather(1, first_over)[..., None]
        soft = margins.sigmoid()
        return soft + ((margins > 0).float() - soft.detach())

    def forward(self, rows, real, profiles=None, profiles_real=None, budget=3.0):
        users = self.users(profiles, profiles_real) if self.personal else None
        gates = self.gates(self.log_scores(users), budget).split(self.outputs, dim=1)
        weights = {}
        for name, log_range, gate in zip(self.names, self.log_ranges, gates):
            steps = palette_steps(self.backbone.get_parameter(name), log_range)
            if self.personal:
                weights[name] = (gate.transpose(0, 1) @ steps.transpose(0, 1)).transpose(0, 1)
            else:
                weights[name] = (gate[0].T[..., None] * steps).sum(0)
        return functional_call(self.backbone, weights, (rows, real))
