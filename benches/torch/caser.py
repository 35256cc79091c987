"""CHORD's Caser in PyTorch, computed after every token of a stretch at once (docs/method.md).

Every layer also takes a matrix for each user, which is then multiplied with patches instead of convolved: on the CPU
that is what PyTorch does fastest.
"""

import torch
from torch import nn
from torch.nn import functional


class Caser(nn.Module):
    """Horizontal filters of each height 1..=window and vertical ones, over the window before each token."""

    def __init__(self, items, window=5, dim=64, horizontal=16, vertical=4, dropout=0.2):
        super().__init__()
        self.items = nn.Embedding(items, dim)
        self.rows = nn.Identity()
        self.horizontal = nn.ModuleList(nn.Linear(height * dim, horizontal) for height in range(1, window + 1))
        self.vertical = nn.Linear(window, vertical)
        self.dense = nn.Linear(vertical * dim + window * horizontal, dim)
        self.output = nn.Linear(dim, dim)
        self.window, self.dropout = window, nn.Dropout(dropout)
        nn.init.normal_(self.items.weight, 0, 0.02)

    def forward(self, rows, real):
        """Hidden states [batch, tokens, dim] of item rows [batch, tokens]; `real` is False at padding."""
        x = self.rows(self.items(rows) * real[..., None])
        batch, tokens, dim = x.shape
        x = functional.pad(x.transpose(1, 2), (self.window - 1, 0))  # [batch, dim, tokens + window - 1]
        columns = x.unfold(2, self.window, 1).flatten(1, 2)
        features = [self.vertical(columns).unflatten(1, (dim, tokens)).transpose(1, 2).flatten(2)]
        for height, layer in enumerate(self.horizontal, start=1):
            if layer.weight.dim() == 2:
                kernel = layer.weight.unflatten(1, (height, dim)).transpose(1, 2)
                values = functional.conv1d(x, kernel, layer.bias)
            else:
                values = layer(x.unfold(2, height, 1).permute(0, 2, 3, 1).flatten(2)).transpose(1, 2)
            pooled = functional.max_pool1d(torch.relu(values), self.window - height + 1, stride=1)
            features.append(pooled.transpose(1, 2))
        return self.output(torch.relu(self.dense(self.dropout(torch.cat(features, dim=2)))))
