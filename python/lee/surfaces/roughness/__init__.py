"""Roughness of one surface after ISO 25178: form, filters, parameters, their uncertainty, profiles and steps.

`measure` holds `roughness`, which does all of it; the other modules are its stages.
"""
