"""CHORD's Caser in PyTorch, computed after every token of a stretch at once (docs/method.md)."""

import torch
from torch import nn
from torch.nn import functional


class Caser(nn.Module):
    """Horizontal filters of each height 1..=window and vertical ones, over the window before each token."""

    def __init__(self, items, window=5, dim=64, horizontal=16, vertical=4, dropout=0.2):
        super().__init__()
        self.items = nn.Embedding(items, dim)
        self.horizontal = nn.ModuleList(nn.Conv1d(dim, horizontal, height) for height in range(1, window + 1))
        self.vertical = nn.Linear(window, vertical)
        self.dense = nn.Linear(vertical * dim + window * horizontal, dim)
        self.output = nn.Linear(dim, dim)
        self.window, self.dropout = window, nn.Dropout(dropout)
        nn.init.normal_(self.items.weight, 0, 0.02)

    def forward(self, rows, real):
        """Hidden states [batch, tokens, dim] of item rows [batch, tokens]; `real` is False at padding."""
        x = self.items(rows) * real[..., None]
        x = functional.pad(x.transpose(1, 2), (self.window - 1, 0))  # [batch, dim, tokens + window - 1]
        features = [self.vertical(x.unfold(2, self.window, 1)).permute(0, 2, 1, 3).flatten(2)]
        for convolution in self.horizontal:
            places = self.window - convolution.kernel_size[0] + 1
            pooled = functional.max_pool1d(torch.relu(convolution(x)), places, stride=1)
            features.append(pooled.transpose(1, 2))
        return self.output(torch.relu(self.dense(self.dropout(torch.cat(features, dim=2)))))
