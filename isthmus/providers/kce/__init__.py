"""Clusters of Kingsoft Cloud (KCE): bought, found by name and mark, waited for, given back.

requests says what is asked for, api asks it through the cloud's own SDK, credentials has the keys,
keeping the kubeconfigs, notes what was asked for; provider puts them together. The console's federation is in takeover.
"""
