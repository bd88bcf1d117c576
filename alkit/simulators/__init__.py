"""Simulators compute labels; see `alkit.simulators.base` for the contract."""

from alkit.simulators.base import Label, Level, Simulator, SimulatorSpec, check_label, create_simulator

__all__ = ["Label", "Level", "Simulator", "SimulatorSpec", "check_label", "create_simulator"]
