"""Units: energies in eV and lengths in Å everywhere inside alkit."""

KCAL_PER_MOL = 0.0433641  # eV
CHEMICAL_ACCURACY = KCAL_PER_MOL  # an MAE of 1 kcal/mol
