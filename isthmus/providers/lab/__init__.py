"""Regions on this machine: real Kubernetes in network, mount and process namespaces, no Docker.

A region is one supervisor as process 1 of its own namespaces. Ending that process ends everything
in the region, its pods included, and its mounts go with it: there is nothing to chase afterwards.
"""
