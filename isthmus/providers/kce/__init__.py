"""Clusters of Kingsoft Cloud (KCE): bought, found by name and mark, waited for, given back.

payloads says what is asked for, api asks it through the cloud's own SDK with the credentials,
purchase_record keeps what was asked for, kubeconfig_store the kubeconfigs; create and delete are
how a cluster comes and goes, console_federation is about the federation that the cloud's console
makes, provider puts all together.
"""
