"""Repositories of packages, as their clients meet them."""
