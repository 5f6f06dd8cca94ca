"""Checks for the exercises of the cca chapters."""
