"""CHORD's SASRec in plain PyTorch: pre-norm blocks, tied item embeddings, positions from the right.

Follows docs/numerics.md section 8 in floating point. Its `state_dict` is what `chord import --from pytorch` reads and
`chord export --to pytorch` writes.
"""

import math

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

ACTIVATIONS = {"gelu": functional.gelu, "relu": functional.relu}


class Block(nn.Module):
    """One transformer block."""

    def __init__(self, dim, inner, epsilon, dropout):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=epsilon)
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.norm2 = nn.LayerNorm(dim, eps=epsilon)
        self.expand, self.contract = nn.Linear(dim, inner), nn.Linear(inner, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask, heads, activation):
        batch, tokens, dim = x.shape
        split = lambda y: y.view(batch, tokens, heads, dim // heads).transpose(1, 2)
        h = self.norm1(x)
        q, k, v = split(self.query(h)), split(self.key(h)), split(self.value(h))
        shares = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(dim // heads) + mask, dim=-1)
        c = (self.dropout(shares) @ v).transpose(1, 2).reshape(batch, tokens, dim)
        x = x + self.dropout(self.output(c))
        return x + self.dropout(self.contract(self.dropout(activation(self.expand(self.norm2(x))))))


class SasRec(nn.Module):
    """The backbone. Heads, activation and epsilon leave no trace in the weights: give the ones it was trained with."""

    def __init__(
        self, items, window=50, dim=64, inner=64, blocks=2, heads=2, activation="gelu", epsilon=1e-5, dropout=0.2
    ):
        super().__init__()
        self.items, self.positions = nn.Embedding(items, dim), nn.Embedding(window, dim)
        self.blocks = nn.ModuleList(Block(dim, inner, epsilon, dropout) for _ in range(blocks))
        self.final_norm = nn.LayerNorm(dim, eps=epsilon)
        self.dropout = nn.Dropout(dropout)
        self.heads, self.activation = heads, ACTIVATIONS[activation]
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, 0, 0.02)
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, module.in_features**-0.5)
                nn.init.zeros_(module.bias)

    def forward(self, rows, real):
        """Hidden states [batch, tokens, dim] of item rows [batch, tokens], newest last; `real` is False at padding."""
        tokens = rows.shape[1]
        seen = torch.ones(tokens, tokens, dtype=torch.bool).tril() & real[:, None, :]
        mask = torch.where(seen, 0.0, -1e9)[:, None]
        x = self.dropout(self.items(rows) + self.positions.weight[-tokens:])
        for block in self.blocks:
            x = block(x, mask, self.heads, self.activation)
        return self.final_norm(x)

    @torch.no_grad()
    def logits(self, history):
        """Logits [items] after a history of item rows, oldest first."""
        rows = torch.tensor([history[-self.positions.num_embeddings :]])
        return self(rows, torch.ones_like(rows, dtype=torch.bool))[0, -1] @ self.items.weight.T

    def save(self, path):
        save_file(self.state_dict(), path)

    def load(self, path):
        self.load_state_dict(load_file(path))
        return self
