"""Molecules: identity by SMILES, geometries, bonds, descriptors, enumeration."""

from alkit.molecules.conformers import embed
from alkit.molecules.molecule import Molecule, canonical, without_stereo

__all__ = ["Molecule", "canonical", "embed", "without_stereo"]
