"""A proposer of your own: a small language model of SMILES. In the campaign file:

proposer: {kind: custom, name: ./examples/smiles_language_model.py:SmilesLanguageModel, per_round: 500}
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy


class SmilesLanguageModel:
    """What a campaign needs is `propose`; the rest is the model, an LSTM over characters."""

    def __init__(self, hidden=128, steps=300):
        self.hidden, self.steps = hidden, steps

    def propose(self, n, context):
        torch.manual_seed(int(context.rng.integers(2**31)))
        model = _Model(context.molecules, self.hidden)
        weights = [3.0 if smiles in context.labels else 1.0 for smiles in context.molecules]
        model.learn(torch.tensor(weights), self.steps)
        yield from model.draw(n)


class _Model(nn.Module):
    def __init__(self, smiles, hidden):
        super().__init__()
        self.letters = sorted({letter for one in smiles for letter in one})  # 0 is both begin and end
        rows = [torch.tensor([0] + [1 + self.letters.index(c) for c in one] + [0]) for one in smiles]
        self.rows = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        self.embedding = nn.Embedding(len(self.letters) + 1, hidden)
        self.memory = nn.LSTM(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(self.letters) + 1)

    def forward(self, letters, state=None):
        remembered, state = self.memory(self.embedding(letters), state)
        return self.head(remembered), state

    def learn(self, weights, steps):
        optimizer = torch.optim.Adam(self.parameters(), lr=3e-3)
        for _ in range(steps):
            rows = self.rows[torch.multinomial(weights, 64, replacement=True)]
            logits, _ = self(rows[:, :-1].clamp(min=0))
            loss = cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), ignore_index=-1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def draw(self, n):
        letters, state, drawn = torch.zeros(n, 1, dtype=torch.long), None, []
        for _ in range(self.rows.shape[1]):
            logits, state = self(letters, state)
            letters = torch.multinomial(logits[:, 0].softmax(dim=-1), 1)
            drawn.append(letters)
        for row in torch.cat(drawn, dim=1).tolist():
            text = row[: row.index(0)] if 0 in row else row
            yield "".join(self.letters[k - 1] for k in text)
