"""Energies of free atoms that alkit knows: what total energies of a level are counted from."""

# Total energies of isolated atoms in eV, in their ground-state multiplicity, at 300 K electronic temperature
# (which smears a degenerate open shell, and with it these numbers). A test recomputes all of them.
ATOM_ENERGIES = {
    "GFN2-xTB": {
        1: -10.707211, 5: -25.917120, 6: -48.798080, 7: -70.908087, 8: -102.521807, 9: -125.698643,
        14: -42.793903, 15: -64.604696, 16: -85.619453, 17: -121.975722, 35: -110.160925, 53: -102.848978,
    },
    "GFN1-xTB": {
        1: -10.923452, 5: -32.650116, 6: -47.329357, 7: -78.783981, 8: -118.392338, 9: -135.973795,
        14: -44.176297, 15: -65.890568, 16: -96.167939, 17: -113.372266, 35: -103.894148, 53: -105.736841,
    },
    # The force field counts from free atoms: it knows no energy of its own for them.
    "GFN-FF": dict.fromkeys((1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 35, 53), 0.0),
}  # fmt: skip
