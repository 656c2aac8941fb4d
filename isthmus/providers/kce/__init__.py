"""Clusters of Kingsoft Cloud (KCE): bought, found by name and mark, waited for, given back.

requests says what is asked for, api asks it through the cloud's own SDK with the credentials, notes
keeps what was asked for, keeping the kubeconfigs; buying and leaving are how a cluster comes and
goes, takeover is about the console's federation, provider puts all together.
"""
