"""Checks for the exercises of the chapters on real-valued deep models."""
