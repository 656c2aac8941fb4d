"""All that talks to the outside, a module a counterpart; each translates failures into ours."""
