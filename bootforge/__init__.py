"""Bootforge: one site directory in, every machine right before its first boot and right ever after."""

__version__ = "0.1.0"
