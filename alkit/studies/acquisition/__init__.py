"""`alkit study acquisition`: labels that an acquisition function saves against random."""
