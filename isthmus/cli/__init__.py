"""The command line: verbs; results on stdout, progress and messages on stderr."""
