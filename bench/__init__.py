"""The bench: what `isthmus up` takes beside the same steps in sequence by script, on one machine.

walk.sh is the script and walk its frame; product runs the command line, ground measures, and
table judges.
"""
