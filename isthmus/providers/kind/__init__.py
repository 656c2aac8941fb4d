"""Clusters in Docker containers of this machine, made by `kind`.

provider     what the pipeline knows of it        preflight  what it needs, told before a change
commands     `kind` and `docker` themselves       records    which clusters are this environment's
cloud_provider  cloud-provider-kind, which gives Services their addresses
"""
