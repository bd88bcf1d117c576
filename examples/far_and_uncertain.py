"""An acquisition function: uncertain molecules, far from everything labelled so far.

acquisition: ./far_and_uncertain.py:score
"""

import numpy as np


def score(pool, context):
    """Higher is better, one number for each molecule of the pool."""
    gaps = pool.embeddings[:, None, :] - context.embeddings[None, :, :]
    return pool.std * np.linalg.norm(gaps, axis=-1).min(axis=1)
