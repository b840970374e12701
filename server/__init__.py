"""The served intake. Its hot modules are imported in their compiled form where there is one.

Place: imported before any module of the server.
Rule: only the finder and the end by INT are installed here: every command pays for what is imported.
Not here: what is compiled, and when (server.compiled).
"""

from server import interrupted
from server.compiled import finder

interrupted.install()
finder.install()
