"""Taking a snapshot of a mesh: what is asked of every cluster, side by side, each with a limit.

mesh: the whole snapshot: every cluster at once, then the ways between them
cluster: one cluster: its objects, its secrets as facts, a dry run, its kubelets
questions: asking many things at once; what fails is evidence and stops nothing
secrets: cacerts and remote secrets: what they say, and what a remote's API server says to a token
istiod: the debug interface of every replica
proxies: what sidecars and gateways know, count and trust
paths: from inside a pod of each cluster: name, TCP, TLS, and who answers
"""
