"""The sources of the lab's programs, pinned as Go modules, and how they are compiled."""
