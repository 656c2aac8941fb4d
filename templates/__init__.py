"""Jinja2 manifests, loaded as package data by `isthmus.render`. Data only: no Python here.

One folder a stack generation (istio-1.31) and one a concern (federation, wiring, sample, lab).
"""
