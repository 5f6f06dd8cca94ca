"""Checks for the exercises of the hashing chapters."""
