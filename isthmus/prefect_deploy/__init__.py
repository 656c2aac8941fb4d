"""Deploying: from two files to what stands on a Prefect server; imported where Prefect is ready.

schema and loader say what the files may hold, parameters asks the flows; pools, deployments and
automations each make one kind of thing so, webhook keeps the address that failures are told to.
"""
