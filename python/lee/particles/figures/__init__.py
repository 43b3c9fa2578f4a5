"""Figures and report of particles. Drawing only."""
