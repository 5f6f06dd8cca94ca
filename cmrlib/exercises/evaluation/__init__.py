"""Checks for the exercises of the evaluation chapters."""
