"""The served intake. Its hot modules are imported in their compiled form where there is one (server.compiled)."""

from server.compiled import finder

finder.install()
