"""Checks for the exercises of the chapters on data sets."""
