"""What is wrong with a mesh, and why: a snapshot in, findings with causes out. Pure: no I/O.

snapshot: what was seen of every cluster, as plain data that can be sent to somebody
masking: what a snapshot may hold of an object: nothing that is secret
finding: one failure as a person gets it
diagnosis: all findings of one snapshot, as steps and reports hand them on
analysis: which checks there are, which are wanted, what they find
analyzers: a module for each part of a mesh, a function for each failure (F01 to F59)
causes: which finding explains which, so that the root comes first
report: the findings as text, JSON and JUnit
"""
