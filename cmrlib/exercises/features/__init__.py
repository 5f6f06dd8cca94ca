"""Checks for the exercises of the features chapters."""
