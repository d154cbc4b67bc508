"""Backends: what answers a request in the upstream's stead, and what keeps a dead one from costing.

Only this room and the processes above it use the network.
"""
