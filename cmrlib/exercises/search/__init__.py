"""Checks for the exercises of the search chapters."""
