"""Taking a snapshot of a mesh: what is asked of every cluster, side by side, each with a limit.

mesh: the whole snapshot: every cluster at once, then the ways between them
cluster: one cluster: its objects, and all that the others here ask of it
questions: asking many things at once; what fails is evidence and stops nothing
secrets: cacerts and remote secrets: what they say, and what a remote's API server says to a token
istiod: the debug interface of every replica
proxies: what sidecars and gateways know, count and trust
admission: what the API server does with a pod, as a dry run, and whether it reaches the kubelets
paths: from inside a pod of each cluster: name, TCP, TLS, and who answers
lookups: how each cluster's pods resolve the service's name
logs: the ends of the logs that tell of a mesh
"""
