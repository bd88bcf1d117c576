"""Cheap energies that a surrogate learns on top of, and what the same calculations say of atoms and bonds."""
