"""Conformance kits: whether code of your own keeps the contracts that a campaign relies on.

    from alkit.testing import check_proposer

    def test_mine(tmp_path):
        check_proposer("./mine.py:MyProposer", tmp_path, hidden=32)

`check_acquisition` and `check_simulator` do the same for acquisition functions and simulators. Each raises
AssertionError with one sentence: what is broken, and what would be right. `example_pool` is a pool and a
context to try a function on.
"""

from alkit.testing.acquisition import check_acquisition, example_pool
from alkit.testing.proposers import check_proposer
from alkit.testing.simulators import check_simulator

__all__ = ["check_acquisition", "check_proposer", "check_simulator", "example_pool"]
